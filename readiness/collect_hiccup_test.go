// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// wantEverything checks that there are all files of the default tree and nothing is
// missing.
func (tr *trial) wantEverything(t *testing.T) {
	t.Helper()
	if tr.exit != readiness.ExitOK || len(tr.status.Missing) != 0 || len(tr.logged("WARN")) != 0 {
		t.Errorf("exit %d, missing %v, warnings %q", tr.exit, tr.status.Missing, tr.logged("WARN"))
	}
	for _, name := range []string{"identity.json", "meta-data.json", "network.json", "tags.json", "imds.env"} {
		if tr.status.Files[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

// Failures of up to 3 s below meta-data/, right after the identity document, lose nothing
// (0.1.0 lost all metadata after 0.3 s).
func TestHiccupLosesNothing(t *testing.T) {
	for _, fault := range []string{"503", "401@get", "429", "close", "404", "empty"} {
		for range 17 { // 102 boots in all
			boot := fmt.Sprintf("%s@meta-data/**:%dms,ok", fault, 1+rand.IntN(3000))
			if fault == "404" { // a listed path is retried for a second, the root for 5 s
				boot = fmt.Sprintf("404@meta-data/:%dms,404@meta-data/**:%dms,ok", 1+rand.IntN(3000), 1+rand.IntN(450))
			}
			if fault == "empty" { // only the root and the interfaces are never empty
				boot = fmt.Sprintf("empty@meta-data/:%dms,empty@meta-data/network/interfaces/macs/:%dms,ok", 1+rand.IntN(1500), 1+rand.IntN(1500))
			}
			t.Run(boot, func(t *testing.T) {
				tr := faulty(t, boot)
				tr.config.Policy.Backoff.Jitter = policy.JitterFull
				tr.run(t).wantEverything(t)
			})
		}
	}
}

// The same if half of the requests fail, at random, for about 3 s.
func TestHiccupOfHalfTheRequests(t *testing.T) {
	for range 20 {
		var phases strings.Builder
		for range 240 { // about 3 s at 160 requests per second
			fmt.Fprintf(&phases, "503@meta-data/**x%d,ok@meta-data/**x%d,", 1+rand.IntN(2), 1+rand.IntN(2))
		}
		tr := faulty(t, phases.String()+"ok")
		tr.config.Policy.Backoff.Jitter = policy.JitterFull
		tr.run(t).wantEverything(t)
	}
}

// 100 leaves that always fail take at most 6 s together and do not delay other paths.
// There is one warning, which names three of them.
func TestHundredLeavesFail(t *testing.T) {
	tree := imdstest.DefaultTree()
	for i := range 100 {
		tree[fmt.Sprintf("meta-data/bad/%02d", i)] = "x"
	}
	tr := newTrial(t, imdstest.New(tree, imdstest.MustSchedule("503@meta-data/bad/*")...))
	var others time.Duration
	synctest.Test(t, func(t *testing.T) { tr.runInBubble(t) })
	for _, r := range tr.sim.Requests() {
		if !strings.Contains(r.Path, "/bad/") {
			others = max(others, r.At)
		}
	}
	if tr.elapsed > 6*time.Second || others > 2*time.Second || len(tr.status.Missing) != 100 {
		t.Errorf("ended after %v, the others after %v, %d missing", tr.elapsed, others, len(tr.status.Missing))
	}
	warnings := tr.logged("WARN")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "missing: meta-data/bad/00 (503), meta-data/bad/01 (503), meta-data/bad/02 (503) and 97 more") {
		t.Errorf("warnings %q", warnings)
	}
}

// The root and the listing of interfaces are never absent or empty. A listing that fails
// or has no valid entry is missing.
func TestListingIsMissing(t *testing.T) {
	const macs = "meta-data/network/interfaces/macs/"
	for _, tt := range []struct{ fault, path, class string }{
		{"404@meta-data/", "meta-data/", "404"},
		{"empty@meta-data/", "meta-data/", "empty"},
		{`body="a/b"@meta-data/`, "meta-data/", "bad-response"},
		{"404@" + macs, macs, "404"},
		{"empty@" + macs, macs, "empty"},
		{"404@meta-data/tags/", "meta-data/tags/", "404"},
		{`body="../x"@meta-data/placement/`, "meta-data/placement/", "bad-response"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			tr := faulty(t, tt.fault).run(t)
			if len(tr.status.Missing) != 1 || tr.status.Missing[tt.path] != tt.class {
				t.Errorf("missing %v, want %s for %s", tr.status.Missing, tt.class, tt.path)
			}
			if got, want := len(tr.logged("WARN")) > 0, tt.class != "404"; got != want {
				t.Errorf("warnings %q", tr.logged("WARN"))
			}
		})
	}
	// A rule of the operator decides first.
	if tr := faulty(t, "404@meta-data/").rule(policy.Absent, "meta-data/", "404").run(t); len(tr.status.Missing) != 0 {
		t.Errorf("missing %v despite the rule", tr.status.Missing)
	}
}

// During the collection, STATUS= has the number of paths that are left.
func TestStatusOfTheCollection(t *testing.T) {
	tr := faulty(t, "503@meta-data/tags/").run(t)
	found := false
	for _, n := range tr.datagrams {
		found = found || n.state == "STATUS=collecting: 1 path left, meta-data/tags/ (503)"
	}
	if !found {
		t.Errorf("datagrams %v", tr.datagrams)
	}
}
