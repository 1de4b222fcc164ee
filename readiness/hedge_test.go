// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// If the PUT is not answered, it is sent once more on a second connection.
func TestHedge(t *testing.T) {
	hedge := policy.Boot().Hedge // 500 ms
	for _, tt := range []struct {
		name, schedule string
		hedge          time.Duration
		trace          string
	}{
		{"the second answers", "hang@putx1,ok", hedge, "PUT hang @ 0s; PUT 200 @ 500ms; DOC 200 @ 500ms"},
		{"any status answers", "hang@putx1,503@putx1,ok", hedge, "PUT hang @ 0s; PUT 503 @ 500ms; PUT 200 @ 550ms; DOC 200 @ 550ms"},
		{"the first answers after all", "slow=700ms@putx1,hang@putx1,ok", hedge, "PUT 200 slow=700ms @ 0s; PUT hang @ 500ms; DOC 200 @ 700ms"},
		{"the second fails, so the first counts", "slow=700ms@putx1,reset@putx1,ok", hedge, "PUT 200 slow=700ms @ 0s; PUT reset @ 500ms; DOC 200 @ 700ms"},
		{"the first stalls in its body", "stall@putx1,ok", hedge, "PUT 200 stall @ 0s; PUT 200 @ 500ms; DOC 200 @ 500ms"},
		{"the first drips", "drip=100ms@putx1,ok", hedge, "PUT 200 drip=100ms @ 0s; PUT 200 @ 500ms; DOC 200 @ 500ms"},
		{"the second breaks off in its body, so the first counts", "slow=700ms@putx1,truncate@putx1,ok", hedge, "PUT 200 slow=700ms @ 0s; PUT 200 truncate @ 500ms; DOC 200 @ 700ms"},
		{"two hang: the third answers", "hang@putx2,ok", hedge, "PUT hang @ 0s; PUT hang @ 500ms; PUT 200 @ 1s; DOC 200 @ 1s"},
		{"four hang: one attempt, read_timeout after the first", "hang@putx4,ok", hedge, "PUT hang @ 0s 500ms 1s 1.5s; PUT 200 @ 2.05s; DOC 200 @ 2.05s"},
		{"four at most, however short the interval", "hang@putx4,ok", 100 * time.Millisecond, "PUT hang @ 0s 100ms 200ms 300ms; PUT 200 @ 2.05s; DOC 200 @ 2.05s"},
		{"the second's answer counts before the first's token", "slow=700ms@putx1,503@putx1,ok", hedge, "PUT 200 slow=700ms @ 0s; PUT 503 @ 500ms; PUT 200 @ 550ms; DOC 200 @ 550ms"},
		{"no hedge", "hang@putx1,ok", 0, "PUT hang @ 0s; PUT 200 @ 2.05s; DOC 200 @ 2.05s"},
		{"an answer in time", "slow=400ms@putx1,ok", hedge, "PUT 200 slow=400ms @ 0s; DOC 200 @ 400ms"},
		{"a GET is not doubled", "hang@getx1,ok", hedge, "PUT 200 @ 0s; DOC hang @ 0s; DOC 200 @ 2.05s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.schedule).gateOnly()
			tr.config.Policy.Hedge = tt.hedge
			tr.run(t)
			tr.wantTrace(t, tt.trace)
			if want := len(expandTrace(tt.trace)); tr.status.Requests != want {
				t.Errorf("%d requests counted, want %d", tr.status.Requests, want)
			}
		})
	}
}

// If the first PUT breaks off while the second is under way, the second counts.
func TestHedgeOutlivesTheFirst(t *testing.T) {
	tr := faulty(t, "truncate@putx1,ok").gateOnly()
	tr.sim.Latency = 600 * time.Millisecond
	tr.config.Policy.Hedge = 500 * time.Millisecond
	tr.run(t)
	want := []time.Duration{0, 500 * time.Millisecond, 1100 * time.Millisecond}
	if got := tr.connectTimes(); !slices.Equal(got, want) || tr.status.Attempts != 1 {
		t.Errorf("requests at %v, want %v, in %d attempts", got, want, tr.status.Attempts)
	}
}

// A server that accepts connections and answers nothing has at most four connections of an
// endpoint at a time.
func TestHedgeHoldsFourConnections(t *testing.T) {
	tr := faulty(t, "hang").limits(0, 30*time.Second)
	tr.config.Policy.Hedge = 500 * time.Millisecond
	tr.run(t)
	if tr.exit != readiness.ExitTempFail || tr.elapsed != 30*time.Second {
		t.Errorf("exit %d after %v", tr.exit, tr.elapsed)
	}
	begun := tr.connectTimes()
	// Each attempt lasts 2 s and has four requests, so the first of any five requests ends
	// before the fifth begins.
	for i := 4; i < len(begun); i++ {
		if begun[i]-begun[i-4] < 2*time.Second {
			t.Errorf("five requests from %v to %v", begun[i-4], begun[i])
		}
	}
	if want := 4 * tr.status.Errors["read-timeout"]; len(begun) < want || want == 0 {
		t.Errorf("%d requests, %d attempts", len(begun), want/4)
	}
}
