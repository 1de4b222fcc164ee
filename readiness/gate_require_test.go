// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// The identity document is requested first, then the other required paths. Nothing
// optional is requested before the gate is decided. Only required paths are requested
// twice.
func TestRequiredFirst(t *testing.T) {
	tr := faulty(t, "").require("meta-data/instance-id", required, "meta-data/placement/")
	tr.sim.Latency = 10 * time.Millisecond
	tr.sim.Late = map[string]time.Duration{required: time.Second}
	tr.run(t)
	requested := tr.requestedPaths()
	if requested[0] != readiness.IdentityPath {
		t.Errorf("first %s", requested[0])
	}
	second := slices.Sorted(slices.Values(requested[1:4]))
	if !slices.Equal(second, []string{"meta-data/instance-id", "meta-data/placement/", required}) {
		t.Errorf("second %q", second)
	}
	fetched := map[string]int{}
	gate := time.Duration(0)
	for _, r := range tr.sim.Requests() {
		if r.Status == 200 && r.Kind == "GET" {
			fetched[r.Path]++
		}
		if r.Path == required && r.Status == 200 {
			gate = r.At
		}
	}
	for path, n := range fetched {
		if _, again := tr.status.Required[path]; n > 1 && !(again && n == 2) {
			t.Errorf("%s was fetched %d times", path, n)
		}
	}
	for _, r := range tr.sim.Requests() {
		if r.At < gate && r.Kind == "GET" && !slices.Contains([]string{
			readiness.IdentityPath, "meta-data/instance-id", "meta-data/placement/", required,
		}, r.Path) {
			t.Errorf("%v is before the gate, at %v", r, gate)
		}
	}
	if tr.exit != 0 || gate < time.Second || len(tr.status.Required) != 4 {
		t.Errorf("exit %d, gate at %v, required %v", tr.exit, gate, tr.status.Required)
	}
}

// Without the identity document, nothing else is requested.
func TestRequiredNotBeforeIdentity(t *testing.T) {
	tr := faulty(t, "404@dynamic/**").require(required).limits(3, time.Minute).run(t)
	tr.wantTrace(t, "PUT 200 @ 0s; DOC 404 @ 0s 50ms 150ms")
	if r := tr.status.Required[required]; r.OK || r.Class != nil {
		t.Errorf("required %v", r)
	}
}

// max_attempts and deadline of a required path replace those of [retry].
func TestRequiredLimits(t *testing.T) {
	for _, tt := range []struct {
		name     string
		attempts int
		deadline time.Duration
		late     time.Duration
		exit     readiness.Exit
		elapsed  time.Duration
	}{
		{"shorter deadline", 0, 2 * time.Second, time.Hour, 75, 2 * time.Second},
		{"longer deadline", 0, time.Minute, 30 * time.Second, 0, 30250 * time.Millisecond},
		{"no deadline", 0, 0, time.Minute, 0, time.Minute + 250*time.Millisecond},
		{"fewer attempts", 2, 0, time.Hour, 75, 50 * time.Millisecond},
		{"more attempts", 9, 0, 2 * time.Second, 0, 2250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, "").limits(8, 10*time.Second).gateOnly()
			tr.config.Require = append(tr.config.Require, readiness.Require{
				Path: required, MaxAttempts: tt.attempts, Deadline: tt.deadline,
			})
			tr.sim.Late = map[string]time.Duration{required: tt.late}
			tr.run(t)
			if tr.exit != tt.exit || tr.elapsed != tt.elapsed {
				t.Errorf("exit %d after %v, want %d after %v", tr.exit, tr.elapsed, tt.exit, tt.elapsed)
			}
		})
	}
}

// The identity document may have its own limits too, and the wait for other paths
// continues after it.
func TestRequiredIdentityLimits(t *testing.T) {
	tr := faulty(t, "refuse:8s,ok").require(required).limits(0, 5*time.Second)
	tr.config.Require[0].Deadline = 10 * time.Second
	tr.run(t)
	// The document is fetched at 8.25 s, after the deadline of the other path, which has
	// one attempt that is cut at once.
	if tr.exit != 75 || tr.elapsed != 8250*time.Millisecond || !tr.status.Required[readiness.IdentityPath].OK {
		t.Errorf("exit %d after %v, required %v", tr.exit, tr.elapsed, tr.status.Required)
	}
	if got := tr.status.DeadlineAt.Sub(*tr.status.StartedAt); got != 10*time.Second {
		t.Errorf("deadline_at after %v", got)
	}
}

// The first path that is given up ends the gate and cuts all other requests and pauses,
// which do not count as failures.
func TestRequiredFirstGivenUpCutsTheRest(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("400@meta-data/mac")...)
	sim.Also(imdstest.MustSchedule("hang@meta-data/instance-id")...)
	sim.Also(imdstest.MustSchedule("404@meta-data/ami-id")...)
	tr := newTrial(t, sim).require("meta-data/instance-id", "meta-data/ami-id", "meta-data/mac")
	sim.Also(imdstest.MustSchedule("503@meta-data/mac")...)
	tr.run(t)
	if tr.exit != 75 || tr.elapsed != 0 || tr.status.LastError == nil {
		t.Fatalf("exit %d after %v", tr.exit, tr.elapsed)
	}
	if e := tr.status.Errors; e["400"] != 1 || e["read-timeout"] != 0 || e["local-error"] != 0 {
		t.Errorf("errors %v", e)
	}
	if !strings.Contains(tr.log, "path=meta-data/mac") || !strings.Contains(tr.logged("ERROR")[0], "path=meta-data/mac") {
		t.Errorf("the path that was given up is not named: %s", tr.logged("ERROR"))
	}
}

// A required listing must have an entry, and a required document must be one.
func TestRequiredContent(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		fault      string
		exit       readiness.Exit
		class      string
	}{
		{"with entries", "meta-data/tags/instance/", "", 0, ""},
		{"absent", "meta-data/spot/", "", 75, "404"},
		{"empty", "meta-data/tags/instance/", "empty@meta-data/tags/**", 75, "empty"},
		{"only line feeds", "meta-data/tags/instance/", `body="\n\n"@meta-data/tags/**`, 75, "empty"},
		{"only refused entries", "meta-data/tags/instance/", `body="..\n../\na/b"@meta-data/tags/**`, 76, "bad-response"},
		{"a role that works", "meta-data/iam/security-credentials/", "", 0, ""},
		{"a role that does not", "meta-data/iam/security-credentials/", `body="{\"Code\": \"Failed\"}"@meta-data/iam/security-credentials/web-role`, 76, "bad-response"},
		{"a role without a document", "meta-data/iam/security-credentials/", "404@meta-data/iam/security-credentials/web-role", 75, "404"},
		{"a role of HTML", "meta-data/iam/security-credentials/", "html@meta-data/iam/security-credentials/web-role", 76, "bad-response"},
		{"a document", "meta-data/iam/info", "", 0, ""},
		{"not a document", "meta-data/iam/info", "body=x@meta-data/iam/info", 76, "bad-response"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).require(tt.path).limits(3, time.Minute).gateOnly().run(t)
			if tr.exit != tt.exit || tr.lastClass() != tt.class {
				t.Errorf("exit %d, class %q, want %d, %q", tr.exit, tr.lastClass(), tt.exit, tt.class)
			}
		})
	}
}

// A required meta-data/iam/info must have the Code Success, if it has a Code.
func TestRequiredRole(t *testing.T) {
	const info, broken = "meta-data/iam/info", `body="{\"Code\":\"AssumeRoleUnauthorizedAccess\"}"@meta-data/iam/info`
	tr := faulty(t, broken).require(info).limits(0, 5*time.Second).run(t)
	if tr.exit != 75 || tr.lastClass() != "mismatch" || !strings.Contains(tr.status.LastError.Hint, "AssumeRoleUnauthorizedAccess") {
		t.Errorf("exit %d, last error %+v", tr.exit, tr.status.LastError)
	}
	tr = faulty(t, broken+":3s,ok").require(info).run(t)
	if tr.exit != readiness.ExitOK || tr.elapsed < 3*time.Second {
		t.Errorf("exit %d after %v, want ready when the role works", tr.exit, tr.elapsed)
	}
	tr = faulty(t, `body="{\"a\":1}"@meta-data/iam/info`).require(info).run(t)
	if tr.exit != readiness.ExitOK {
		t.Errorf("exit %d: a document without a Code is valid", tr.exit)
	}
}

// A required path with Equals must have one of the values. Until then it is a mismatch,
// and the hint names the value and what the gate waits for.
func TestRequiredEquals(t *testing.T) {
	pending := func(body string) *trial {
		tr := faulty(t, "").require(required)
		tr.sim.Changes = []imdstest.Change{{Path: required, Body: body}}
		return tr
	}
	for _, tt := range []struct {
		served string
		equals []string
		exit   readiness.Exit
	}{
		{"InService", []string{"InService"}, 0},
		{"InService\n", []string{"Standby", "InService"}, 0},
		{"InService\r\n", []string{"InService"}, 0},
		{"InService\n\n", []string{"InService"}, 75},
		{"inservice", []string{"InService"}, 75},
		{"InService ", []string{"InService"}, 75},
		{"\n", []string{"InService"}, 75},
		{"anything", nil, 0},
	} {
		tr := pending(tt.served).limits(3, time.Minute).gateOnly()
		tr.config.Require[1].Equals = tt.equals
		tr.run(t)
		if class := tr.lastClass(); tr.exit != tt.exit || (tt.exit != 0 && class != "mismatch") {
			t.Errorf("%q for %q: exit %d, class %q", tt.served, tt.equals, tr.exit, class)
		}
	}

	tr := pending("Warmed").limits(0, 5*time.Second)
	tr.sim.Changes = append(tr.sim.Changes, imdstest.Change{Path: required, At: 3 * time.Second, Body: "Pending"})
	tr.config.Require[1].Equals = []string{"InService", "Standby"}
	tr.run(t)
	hint := `the value is "Pending"; the [[require]] entry of ` + required + ` waits for "InService" or "Standby"`
	if last := tr.status.LastError; tr.exit != 75 || tr.elapsed != 5*time.Second || last == nil || last.Hint != hint ||
		last.Message != "GET "+required+`: the value is "Pending", not "InService" or "Standby"` {
		t.Errorf("exit %d after %v, last error %+v", tr.exit, tr.elapsed, last)
	}
	if r := tr.status.Required[required]; r.OK || r.Class == nil || *r.Class != "mismatch" {
		t.Errorf("required %+v", r)
	}

	tr = pending("Pending")
	tr.sim.Changes = append(tr.sim.Changes, imdstest.Change{Path: required, At: 3 * time.Second, Body: "InService"})
	tr.config.Require[1].Equals = []string{"InService"}
	tr.run(t)
	if tr.exit != 0 || tr.elapsed < 3*time.Second || tr.object(t, "tags.json")["Name"] != "InService" {
		t.Errorf("exit %d after %v, tags %v", tr.exit, tr.elapsed, tr.object(t, "tags.json"))
	}
}

// The preset sdk does not retry a mismatch, and a rule decides first.
func TestRequiredEqualsPolicy(t *testing.T) {
	for action, attempts := range map[policy.Action]int{"": 1, policy.Retry: 3} {
		tr := faulty(t, "").preset(t, policy.PresetSDK, true).require(required).limits(3, time.Minute).gateOnly()
		tr.config.Require[1].Equals = []string{"none"}
		if action != "" {
			tr.rule(action, "", "mismatch")
		}
		tr.run(t)
		if got := tr.status.Errors["mismatch"]; tr.exit != 75 || got != attempts {
			t.Errorf("action %q: exit %d, %d mismatches, want %d", action, tr.exit, got, attempts)
		}
	}
}
