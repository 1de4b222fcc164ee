// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// The identity document alone, then the others; nothing optional before the
// gate is decided, and nothing that was had is asked for again.
func TestRequiredFirst(t *testing.T) {
	tr := faulty(t, "").require("meta-data/instance-id", required, "meta-data/placement/")
	tr.sim.Latency = 10 * time.Millisecond
	tr.sim.Late = map[string]time.Duration{required: time.Second}
	tr.run(t)
	asked := tr.asked()
	if asked[0] != readiness.IdentityPath {
		t.Errorf("first %s", asked[0])
	}
	second := slices.Sorted(slices.Values(asked[1:4]))
	if !slices.Equal(second, []string{"meta-data/instance-id", "meta-data/placement/", required}) {
		t.Errorf("second %q", second)
	}
	had := map[string]int{}
	gate := time.Duration(0)
	for _, r := range tr.sim.Requests() {
		if r.Status == 200 && r.Kind == "GET" {
			had[r.Path]++
		}
		if r.Path == required && r.Status == 200 {
			gate = r.At
		}
	}
	for path, n := range had {
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

// Without the identity document nothing else is asked for.
func TestRequiredNotBeforeIdentity(t *testing.T) {
	tr := faulty(t, "404@dynamic/**").require(required).patience(3, time.Minute).run(t)
	tr.wantTrace(t, "PUT 200 @ 0s; DOC 404 @ 0s 50ms 150ms")
	if r := tr.status.Required[required]; r.OK || r.Class != nil {
		t.Errorf("required %v", r)
	}
}

// A path's own max_attempts and deadline replace [retry]'s, longer or shorter.
func TestRequiredOwnPatience(t *testing.T) {
	tests := []struct {
		name     string
		attempts int
		deadline time.Duration
		late     time.Duration
		exit     readiness.Exit
		elapsed  time.Duration
	}{
		{"shorter deadline", 0, 2 * time.Second, time.Hour, 75, 2 * time.Second},
		{"longer deadline", 0, time.Minute, 30 * time.Second, 0, 30250 * time.Millisecond},
		{"none", 0, 0, time.Minute, 0, time.Minute + 250*time.Millisecond},
		{"fewer attempts", 2, 0, time.Hour, 75, 50 * time.Millisecond},
		{"more attempts", 9, 0, 2 * time.Second, 0, 2250 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, "").patience(8, 10*time.Second).alone()
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

// The identity document may have its own patience as well, and the wait for
// another path goes on after it.
func TestRequiredIdentityPatience(t *testing.T) {
	tr := faulty(t, "refuse:8s,ok").require(required).patience(0, 5*time.Second)
	tr.config.Require[0].Deadline = 10 * time.Second
	tr.run(t)
	// At 8.25 s the document is had, and the deadline of the other is over: it
	// is one attempt, cut at once.
	if tr.exit != 75 || tr.elapsed != 8250*time.Millisecond || !tr.status.Required[readiness.IdentityPath].OK {
		t.Errorf("exit %d after %v, required %v", tr.exit, tr.elapsed, tr.status.Required)
	}
	if got := tr.status.DeadlineAt.Sub(*tr.status.StartedAt); got != 10*time.Second {
		t.Errorf("deadline_at after %v", got)
	}
}

// The first path that is given up ends the gate and cuts the rest: requests and
// pauses alike, and what was cut is not counted as a failure.
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

// A listing is had when it has an entry.
func TestRequiredListing(t *testing.T) {
	tests := []struct {
		name, path string
		fault      string
		exit       readiness.Exit
		class      string
	}{
		{"with entries", "meta-data/tags/instance/", "", 0, ""},
		{"not there", "meta-data/spot/", "", 75, "404"},
		{"empty", "meta-data/tags/instance/", "empty@meta-data/tags/**", 75, "empty"},
		{"nothing but line feeds", "meta-data/tags/instance/", `body="\n\n"@meta-data/tags/**`, 75, "empty"},
		{"nothing but what is refused", "meta-data/tags/instance/", `body="..\n../\na/b"@meta-data/tags/**`, 76, "bad-response"},
		{"a role that works", "meta-data/iam/security-credentials/", "", 0, ""},
		{"a role that does not", "meta-data/iam/security-credentials/", `body="{\"Code\": \"Failed\"}"@meta-data/iam/security-credentials/web-role`, 76, "bad-response"},
		{"a role without a document", "meta-data/iam/security-credentials/", "404@meta-data/iam/security-credentials/web-role", 75, "404"},
		{"a role of HTML", "meta-data/iam/security-credentials/", "html@meta-data/iam/security-credentials/web-role", 76, "bad-response"},
		{"a document", "meta-data/iam/info", "", 0, ""},
		{"a document that is none", "meta-data/iam/info", "body=x@meta-data/iam/info", 76, "bad-response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).require(tt.path).patience(3, time.Minute).alone().run(t)
			if tr.exit != tt.exit || tr.lastClass() != tt.class {
				t.Errorf("exit %d, class %q, want %d, %q", tr.exit, tr.lastClass(), tt.exit, tt.class)
			}
		})
	}
}
