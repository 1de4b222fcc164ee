// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// requiredLeaves returns n paths to require, and a tree that has them.
func requiredLeaves(n int) (paths []string, tree imdstest.Tree) {
	tree = imdstest.DefaultTree()
	for i := range n {
		path := fmt.Sprintf("meta-data/tags/instance/key%02d", i)
		paths = append(paths, path)
		tree[path] = "x"
	}
	return paths, tree
}

// mostAtOnce returns how many requests were under way at once if each answer takes
// latency.
func mostAtOnce(requests []imdstest.Request, latency time.Duration) int {
	most := 0
	for _, r := range requests {
		n := 0
		for _, other := range requests {
			if other.At <= r.At && r.At < other.At+latency {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// At most `concurrency` required paths are requested at once.
func TestConcurrencyOfRequired(t *testing.T) {
	for _, n := range []int{1, 2, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			paths, tree := requiredLeaves(20)
			tr := newTrial(t, imdstest.New(tree)).require(paths...).gateOnly()
			tr.sim.Latency = 100 * time.Millisecond
			tr.config.Metadata.Concurrency = n
			tr.run(t)
			if tr.exit != 0 {
				t.Fatalf("exit %d", tr.exit)
			}
			if got := mostAtOnce(tr.sim.Requests(), tr.sim.Latency); got != n {
				t.Errorf("%d requests at once, want %d", got, n)
			}
			steps := (len(paths) + n - 1) / n // in the gate, and again in the collection
			if want := time.Duration(2+2*steps) * tr.sim.Latency; tr.elapsed != want {
				t.Errorf("took %v, want %v", tr.elapsed, want)
			}
		})
	}
}

// The same applies to the collection.
func TestConcurrencyOfCollect(t *testing.T) {
	for _, n := range []int{1, 3, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tr := faulty(t, "")
			tr.sim.Latency = 10 * time.Millisecond
			tr.config.Metadata.Concurrency = n
			tr.run(t)
			if got := mostAtOnce(tr.sim.Requests(), tr.sim.Latency); got != n {
				t.Errorf("%d requests at once, want %d", got, n)
			}
		})
	}
}

// A path in a pause holds no place, so that it does not delay other paths.
func TestConcurrencyDuringPauses(t *testing.T) {
	tr := faulty(t, "").require("meta-data/spot/instance-action", "meta-data/instance-id").limits(0, 5*time.Second)
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	if !tr.status.Required["meta-data/instance-id"].OK {
		t.Errorf("required %v", tr.status.Required)
	}
}

// A path that waits for a place at the deadline is cut, and is not a local error.
func TestConcurrencyCutWhileWaitingForAPlace(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("slow=40s@meta-data/mac")...)
	sim.Also(imdstest.MustSchedule("404@meta-data/ami-idx1,ok")...)
	tr := newTrial(t, sim).require("meta-data/ami-id", "meta-data/mac").gateOnly()
	tr.config.Policy.ReadTimeout = time.Minute
	tr.config.Metadata.Concurrency = 1
	tr.config.Require[1].Deadline = 30 * time.Second
	tr.run(t)
	if tr.exit != 75 || tr.elapsed != 30*time.Second {
		t.Errorf("exit %d after %v", tr.exit, tr.elapsed)
	}
	if n := tr.status.Errors["local-error"]; n != 0 || tr.lastClass() == "local-error" {
		t.Errorf("errors %v, class %q", tr.status.Errors, tr.lastClass())
	}
}

// Several paths share one PUT. If it fails, it is one request and a failed attempt of
// each path.
func TestConcurrencyOneTokenForAll(t *testing.T) {
	paths, tree := requiredLeaves(3)
	sim := imdstest.New(tree, imdstest.MustSchedule("ok:1s,503@putx1,ok")...)
	sim.Latency = 10 * time.Millisecond
	sim.Late = map[string]time.Duration{"meta-data/tags": 2 * time.Second}
	tr := newTrial(t, sim).require(paths...).gateOnly()
	tr.client.TokenTTL = time.Second
	tr.run(t)
	puts := 0
	for _, r := range sim.Requests() {
		if r.Kind == "PUT" && r.Status == 503 {
			puts++
		}
	}
	if tr.exit != 0 || puts != 1 || tr.status.Errors["503"] != 3 {
		t.Errorf("exit %d, %d PUTs failed, errors %v", tr.exit, puts, tr.status.Errors)
	}
}
