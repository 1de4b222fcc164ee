// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// STATUS= has the path, the class, the attempts, and the elapsed time.
func TestStatusText(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		set         func(*trial)
		want        []string
	}{
		{"refused", "refuse:1s,ok", nil, []string{
			"waiting for IMDS",
			"waiting for IMDS: connection refused, attempt 1, 0 s of 5 min",
			"ready in 1.2 s: i-0123456789abcdef0, 6 attempts",
		}},
		{"refused for 3 s", "refuse:3s,ok", nil, []string{
			"waiting for IMDS",
			"waiting for IMDS: connection refused, attempt 1, 0 s of 5 min",
			"waiting for IMDS: connection refused, attempt 6, 1.2 s of 5 min",
			"waiting for IMDS: connection refused, attempt 8, 2.2 s of 5 min",
			"ready in 3.2 s: i-0123456789abcdef0, 10 attempts",
		}},
		{"unreachable uses up no attempt", "unreachablex2,503x1,ok", nil, []string{
			"waiting for IMDS",
			"waiting for IMDS: unreachable, 0 s of 5 min",
			"ready in 0.2 s: i-0123456789abcdef0, 2 attempts",
		}},
		{"another path", "404@meta-data/tags/instance/Namex1,ok", func(tr *trial) { tr.require(required).limits(0, 0) }, []string{
			"waiting for IMDS",
			"waiting for meta-data/tags/instance/Name: status 404, attempt 1, 0 s",
			"ready in 0.1 s: i-0123456789abcdef0, 3 attempts",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault)
			if tt.set != nil {
				tt.set(tr)
			}
			tr.run(t)
			if got := tr.statusTexts(); !slices.Equal(got, tt.want) {
				t.Errorf("STATUS= %q, want %q", got, tt.want)
			}
		})
	}
}

// statusClass returns the class in a STATUS= about a failure, or "" for another text.
func statusClass(state string) string {
	_, rest, ok := strings.Cut(state, ": ")
	if !ok || !strings.HasPrefix(state, "STATUS=waiting for ") {
		return ""
	}
	class, _, _ := strings.Cut(rest, ",")
	return class
}

// wantStatusRate checks that there is a STATUS= about a failure at most once a second.
func (tr *trial) wantStatusRate(t *testing.T) {
	t.Helper()
	var last datagram
	for _, n := range tr.datagrams {
		class := statusClass(n.state)
		if class == "" {
			continue
		}
		if last.state != "" && n.at-last.at < time.Second {
			t.Errorf("%q at %v, %v after %q", n.state, n.at, n.at-last.at, last.state)
		}
		last = n
	}
	if last.state == "" {
		t.Error("no STATUS= is about a failure")
	}
}

func TestStatusRate(t *testing.T) {
	for _, fault := range []string{"refuse:12s,ok", "503:3s,ok", "hang:5s,ok", "blackhole:5s,ok", "404@put:4s,ok", "unreachable:4s,refuse:4s,503:4s,ok"} {
		t.Run(fault, func(t *testing.T) { faulty(t, fault).run(t).wantStatusRate(t) })
	}
	t.Run("many paths of one class", func(t *testing.T) {
		paths, tree := requiredLeaves(8)
		tr := newTrial(t, imdstest.New(tree, imdstest.MustSchedule("404@meta-data/tags/**:3s,ok")...)).require(paths...).run(t)
		tr.wantStatusRate(t)
	})
}

// A new class is in STATUS= within a second.
func TestStatusOnChange(t *testing.T) {
	tr := faulty(t, "unreachable:3200ms,refuse:3200ms,503:3200ms,404@put:3200ms,ok").run(t)
	got := map[string]time.Duration{}
	for _, n := range tr.datagrams {
		class := statusClass(n.state)
		if _, seen := got[class]; class != "" && !seen {
			got[class] = n.at
		}
	}
	for i, class := range []string{"unreachable", "connection refused", "status 503", "status 404"} {
		begins := time.Duration(i) * 3200 * time.Millisecond
		if at, ok := got[class]; !ok || at < begins || at > begins+1500*time.Millisecond {
			t.Errorf("%s is in STATUS= at %v, want within a pause and a second of %v", class, at, begins)
		}
	}
	tr.wantStatusRate(t)
}

// A wait of a minute sends at most 130 datagrams.
func TestDatagramsOfAMinute(t *testing.T) {
	for _, fault := range []string{"refuse", "503", "hang", "blackhole", "unreachable", "reset"} {
		tr := faulty(t, fault).limits(0, time.Minute).run(t)
		if n := len(tr.datagrams); n > 130 {
			t.Errorf("%s: %d datagrams", fault, n)
		}
	}
}
