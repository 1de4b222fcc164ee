// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
)

// requestTimes returns when a path was requested.
func (tr *trial) requestTimes(path string) []time.Duration {
	var at []time.Duration
	for _, r := range tr.sim.Requests() {
		if r.Path == path {
			at = append(at, r.At)
		}
	}
	return at
}

// An absent path has no key, an empty one the value "", and a failed one an entry in
// missing. The gate is ready in any case.
func TestCollectMissing(t *testing.T) {
	for _, row := range []missingRow{
		{"present", "", nil, 1, "", "m6i.large"},
		{"listed and absent", "404", nil, 5, "404", nil},
		{"listed and late", "404x3", nil, 4, "", "m6i.large"},
		{"listed and absent with sdk", "404", func(tr *trial) { tr.config.Policy.Table = sdkTable(t) }, 1, "404", nil},
		{"a rule: a 404 is absent", "404", func(tr *trial) { tr.rule(policy.Absent, "meta-data/**", "404") }, 1, "", nil},
		{"empty", "empty", nil, 1, "", ""},
		{"204", "204", nil, 1, "", ""},
		{"late", "503x3", nil, 4, "", "m6i.large"},
		{"too late", "503", nil, 13, "503", nil},
		{"fewer attempts", "503", func(tr *trial) { tr.config.Policy.MaxAttempts = 2 }, 2, "503", nil},
		{"more attempts", "503", func(tr *trial) { tr.config.Policy.MaxAttempts = 9 }, 9, "503", nil},
		{"not retried", "400", nil, 1, "400", nil},
		{"forbidden", "403", nil, 1, "403", nil},
		{"401", "401", nil, 13, "401", nil},
		{"no answer", "hang", nil, 4, "read-timeout", nil},
		{"reset", "reset-body", nil, 13, "connection-reset", nil},
		{"garbage", "garbage", nil, 13, "bad-response", nil},
		{"redirect", "redirect", nil, 13, "bad-response", nil},
		{"too large", "big=262145", nil, 1, "too-large", nil},
		{"not too large", "big=262144", nil, 1, "", strings.Repeat("x", 262144)},
		{"not UTF-8", "utf8", nil, 1, "not-utf8", nil},
		{"a rule: absent", "503", func(tr *trial) { tr.rule(policy.Absent, "meta-data/**", "5xx") }, 1, "", nil},
		{"a rule: retry a 404", "404", func(tr *trial) { tr.rule(policy.Retry, "meta-data/**", "404") }, 5, "404", nil},
		{"a rule: fail", "503", func(tr *trial) { tr.rule(policy.Fail, "meta-data/**", "5xx") }, 1, "503", nil},
		{"the toggle", "reset", func(tr *trial) { tr.config.Policy.RetryConnectTimeouts = false }, 1, "connection-reset", nil},
	} {
		t.Run(row.name, row.check)
	}
}

// missingRow is the result of one optional path.
type missingRow struct {
	name, fault string
	set         func(*trial)
	tries       int
	class       string // in missing; if empty, there is no entry
	value       any    // in meta-data.json; if nil, there is no key
}

func (row missingRow) check(t *testing.T) {
	const path = "meta-data/instance-type"
	schedule := ""
	if row.fault != "" {
		fault, _, limited := strings.Cut(row.fault, "x3")
		if schedule = fault + "@" + path; limited {
			schedule += "x3"
		}
	}
	tr := faulty(t, schedule)
	if row.set != nil {
		row.set(tr)
	}
	tr.run(t)
	if got := len(tr.requestTimes(path)); got != row.tries || tr.status.State != "ready" {
		t.Errorf("%d tries, want %d; state %s", got, row.tries, tr.status.State)
	}
	want := map[string]string{}
	if row.class != "" {
		want[path] = row.class
	}
	if !maps.Equal(tr.status.Missing, want) {
		t.Errorf("missing %v, want %v", tr.status.Missing, want)
	}
	if got := tr.object(t, "meta-data.json")["instance-type"]; got != row.value {
		t.Errorf("value %.20q, want %.20q", got, row.value)
	}
	if tr.status.Attempts != 1 || len(tr.status.Errors) != 0 || tr.status.LastError != nil {
		t.Errorf("the optional path is counted: %+v", tr.status)
	}
}

func sdkTable(t *testing.T) []policy.Row {
	p, ok := policy.Preset(policy.PresetSDK)
	if !ok {
		t.Fatal("no preset sdk")
	}
	return p.Table
}

// A JSON document that does not parse is omitted.
func TestCollectBrokenDocument(t *testing.T) {
	tree := imdstest.DefaultTree()
	tree["meta-data/iam/info"] = `{"Code": "Success"`
	tree["meta-data/spot/instance-action"] = "terminate"
	tr := newTrial(t, imdstest.New(tree)).run(t)
	if !maps.Equal(tr.status.Missing, map[string]string{"meta-data/iam/info": "bad-response", "meta-data/spot/instance-action": "bad-response"}) {
		t.Errorf("missing %v", tr.status.Missing)
	}
	if iam := tr.object(t, "meta-data.json")["iam"].(map[string]any); iam["info"] != nil {
		t.Errorf("iam: %v", iam)
	}
}

// The pauses of an optional path are those of the policy.
func TestCollectPauses(t *testing.T) {
	tr := faulty(t, "503@meta-data/mac").run(t)
	want := []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 350 * time.Millisecond}
	for at := 750 * time.Millisecond; at < 5*time.Second; at += 500 * time.Millisecond {
		want = append(want, at)
	}
	if got := tr.requestTimes("meta-data/mac"); !slices.Equal(got, want) {
		t.Errorf("requested at %v, want %v", got, want)
	}
}

// A listing that cannot be fetched is missing, without the paths below it.
func TestCollectMissingListing(t *testing.T) {
	tr := faulty(t, "500@meta-data/network/").run(t)
	if !maps.Equal(tr.status.Missing, map[string]string{"meta-data/network/": "500"}) {
		t.Errorf("missing %v", tr.status.Missing)
	}
	tr = faulty(t, "500@meta-data/").require("meta-data/instance-id").run(t)
	if !maps.Equal(tr.status.Missing, map[string]string{"meta-data/": "500"}) {
		t.Errorf("missing %v", tr.status.Missing)
	}
	if got := tr.object(t, "meta-data.json"); len(got) != 1 || got["instance-id"] == nil {
		t.Errorf("meta-data.json %v", got)
	}
}
