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

// connectTimes returns when each request began. Each request is one connection.
func (tr *trial) connectTimes() []time.Duration {
	var at []time.Duration
	for _, r := range tr.sim.Trace() {
		if r.Kind == "SYN" {
			at = append(at, r.At)
		}
	}
	return at
}

// tooClose returns when the first n+1 requests that are within one second began.
func tooClose(at []time.Duration, n int) (from, to time.Duration, found bool) {
	for i := n; i < len(at); i++ {
		if at[i]-at[i-n] < time.Second {
			return at[i-n], at[i], true
		}
	}
	return 0, 0, false
}

// At most requests_per_second requests begin in any second, including PUTs, retries and
// both sides of a race.
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
			tr.runInBubble(t)
		})
		tr.report(rt)
		if from, to, found := tooClose(tr.connectTimes(), perSecond); found {
			rt.Fatalf("more than %d requests began from %v to %v", perSecond, from, to)
		}
	})
}

// All requests that are allowed within 1.05 s are made.
func TestPaceIsUsed(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.RequestsPerSecond = 10
	tr.config.Metadata.CollectDeadline = time.Minute
	tr.run(t)
	times := tr.connectTimes()
	if len(times) < 80 || len(tr.status.Missing) != 0 {
		t.Fatalf("%d requests, missing %v", len(times), tr.status.Missing)
	}
	for i, at := range times {
		if want := time.Duration(i/10) * 1050 * time.Millisecond; at != want {
			t.Fatalf("request %d began at %v, want %v", i, at, want)
		}
	}
}

// The default does not delay an ordinary instance, which has about 90 paths.
func TestPaceDefault(t *testing.T) {
	if tr := faulty(t, "").run(t); tr.elapsed != 0 {
		t.Errorf("took %v", tr.elapsed)
	}
}

// With two endpoints, the requests of both are paced.
func TestPaceOfARace(t *testing.T) {
	tr := newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("refuse@ipv4")...)).gateOnly()
	tr.client.Endpoints = []string{"http://127.0.0.1:1338", "http://[::1]:1338"}
	tr.config.Metadata.RequestsPerSecond = 1
	tr.run(t)
	tr.wantTrace(t, "SYN refuse @ 0s; PUT 200 @ 1.05s; DOC 200 @ 2.1s")
	if tr.exit != readiness.ExitOK || tr.status.Requests != 3 || tr.status.Attempts != 1 {
		t.Errorf("exit %d, status %+v", tr.exit, tr.status)
	}
}

// A hedged PUT that is canceled while it waits for its turn does not use up the turn.
func TestPaceOfACancelledRequest(t *testing.T) {
	tr := faulty(t, "slow=700ms@putx1,ok").gateOnly()
	tr.config.Policy.Hedge = 500 * time.Millisecond
	tr.config.Metadata.RequestsPerSecond = 1
	tr.run(t)
	if got, want := tr.connectTimes(), []time.Duration{0, 1050 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("requests began at %v, want %v", got, want)
	}
}
