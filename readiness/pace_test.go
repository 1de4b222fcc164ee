// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// begins is when each request began: a request is one connection.
func (tr *trial) begins() []time.Duration {
	var at []time.Duration
	for _, r := range tr.sim.Trace() {
		if r.Kind == "SYN" {
			at = append(at, r.At)
		}
	}
	return at
}

// tooClose is the first n+1 requests that began within one second, "" for none.
func tooClose(begins []time.Duration, n int) (from, to time.Duration, found bool) {
	for i := n; i < len(begins); i++ {
		if begins[i]-begins[i-n] < time.Second {
			return begins[i-n], begins[i], true
		}
	}
	return 0, 0, false
}

// Never do more than requests_per_second requests begin in any second, from
// the first one on: PUTs, retries and both sides of a race included.
func TestPaceProperty(t *testing.T) {
	faults := []string{"", "refuse:3s,ok", "503x9,ok", "401@getx4,ok", "slow=30ms", "429;retry-after=1x3,ok", "hang@meta-data/mac", "503@meta-data/**"}
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.IntRange(1, 200).Draw(rt, "requests_per_second")
		fault := rapid.SampledFrom(faults).Draw(rt, "fault")
		concurrency := rapid.IntRange(1, 16).Draw(rt, "concurrency")
		raced := rapid.Bool().Draw(rt, "raced")
		var tr *trial
		synctest.Test(t, func(t *testing.T) {
			tr = faulty(t, fault)
			tr.config.Metadata.Include = []string{"meta-data/*", "meta-data/placement/*"}
			if raced {
				tr.client.Endpoints = []string{"http://127.0.0.1:1338", "http://[::1]:1338"}
			}
			tr.config.Metadata.RequestsPerSecond, tr.config.Metadata.Concurrency = perSecond, concurrency
			tr.here(t)
		})
		tr.failed(rt)
		if from, to, found := tooClose(tr.begins(), perSecond); found {
			rt.Fatalf("more than %d requests began from %v to %v", perSecond, from, to)
		}
	})
}

// failed stops a property for what no run may do.
func (tr *trial) failed(rt *rapid.T) {
	rt.Helper()
	for _, f := range tr.faults {
		rt.Errorf("%s", f)
	}
	if rt.Failed() {
		rt.Fatalf("exit %d after %v\n%s", tr.exit, tr.elapsed, tr.log)
	}
}

// And hardly slower than that: the budget of each 1.05 s is used.
func TestPaceIsNoSlower(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.RequestsPerSecond = 10
	tr.config.Metadata.CollectDeadline = time.Minute
	tr.run(t)
	begins := tr.begins()
	if len(begins) < 80 || len(tr.status.Missing) != 0 {
		t.Fatalf("%d requests, missing %v", len(begins), tr.status.Missing)
	}
	for i, at := range begins {
		if want := time.Duration(i/10) * 1050 * time.Millisecond; at != want {
			t.Fatalf("request %d began at %v, want %v", i, at, want)
		}
	}
}

// The default paces nothing on an ordinary instance: some 90 paths at once.
func TestPaceDefault(t *testing.T) {
	if tr := faulty(t, "").run(t); tr.elapsed != 0 {
		t.Errorf("took %v", tr.elapsed)
	}
}

// Two endpoints: the second sends one request more, and both are paced.
func TestPaceOfARace(t *testing.T) {
	tr := newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("refuse@ipv4")...)).alone()
	tr.client.Endpoints = []string{"http://127.0.0.1:1338", "http://[::1]:1338"}
	tr.config.Metadata.RequestsPerSecond = 1
	tr.run(t)
	tr.wantTrace(t, "SYN refuse @ 0s; PUT 200 @ 1.05s; DOC 200 @ 2.1s")
	if tr.exit != readiness.ExitOK || tr.status.Requests != 3 || tr.status.Attempts != 1 {
		t.Errorf("exit %d, status %+v", tr.exit, tr.status)
	}
}

// A second PUT that is overtaken while it waits for its turn costs nobody a turn.
func TestPaceOfWhatNeverBegins(t *testing.T) {
	tr := faulty(t, "slow=700ms@putx1,ok").alone()
	tr.config.Policy.Hedge = 500 * time.Millisecond
	tr.config.Metadata.RequestsPerSecond = 1
	tr.run(t)
	if got, want := tr.begins(), []time.Duration{0, 1050 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("requests began at %v, want %v", got, want)
	}
}
