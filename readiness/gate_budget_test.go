// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// A PUT and a GET of one path share one budget. The wait ends exactly at the deadline, in
// any phase. An attempt that is cut there counts as a request only, unless it was the only
// attempt.
func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		attempts    int
		deadline    time.Duration
		trace       string
		end         want
	}{
		{"four PUTs", "500@put", 4, 5 * time.Minute, "PUT 500 @ 0s 50ms 150ms 350ms", want{75, "failed", "500", 4, 4, "500:4", 350 * time.Millisecond}},
		{
			"a PUT and a GET share one count", "503@putx2,503@get", 4, 5 * time.Minute, "PUT 503 @ 0s 50ms; PUT 200 @ 150ms; DOC 503 @ 150ms 350ms",
			want{75, "failed", "503", 4, 5, "503:4", 350 * time.Millisecond},
		},
		{"one attempt", "503@put", 1, time.Minute, "PUT 503 @ 0s", want{75, "failed", "503", 1, 1, "503:1", 0}},
		{
			"wait uses up no attempt", "unreachablex5,refuse", 2, time.Minute, "SYN unreachable @ 0s 50ms 150ms 350ms 750ms; SYN refuse @ 1.25s 1.3s",
			want{75, "failed", "connection-refused", 2, 7, "connection-refused:2 unreachable:5", 1300 * time.Millisecond},
		},
		{
			"in a pause", "refuse", 0, time.Second, "SYN refuse @ 0s 50ms 150ms 350ms 750ms",
			want{75, "failed", "connection-refused", 5, 5, "connection-refused:5", time.Second},
		},
		{
			"at the end of a pause", "refuse", 0, 750 * time.Millisecond, "SYN refuse @ 0s 50ms 150ms 350ms",
			want{75, "failed", "connection-refused", 4, 4, "connection-refused:4", 750 * time.Millisecond},
		},
		{
			"in a connect", "refusex1,blackhole", 0, 100 * time.Millisecond, "SYN refuse @ 0s; SYN blackhole @ 50ms",
			want{75, "failed", "connection-refused", 1, 2, "connection-refused:1", 100 * time.Millisecond},
		},
		{
			"in the only connect", "blackhole", 0, 100 * time.Millisecond, "SYN blackhole @ 0s",
			want{75, "failed", "connect-timeout", 1, 1, "connect-timeout:1", 100 * time.Millisecond},
		},
		{"in the only PUT", "hang", 0, time.Second, "PUT hang @ 0s", want{75, "failed", "read-timeout", 1, 1, "read-timeout:1", time.Second}},
		{"in the only GET", "hang@get", 0, time.Second, "PUT 200 @ 0s; DOC hang @ 0s", want{75, "failed", "read-timeout", 1, 2, "read-timeout:1", time.Second}},
		{
			"in a later GET", "503@getx1,stall@get", 0, time.Second, "PUT 200 @ 0s; DOC 503 @ 0s; DOC 200 stall @ 50ms",
			want{75, "failed", "503", 1, 3, "503:1", time.Second},
		},
		{
			"after a wait, which is an attempt too", "unreachablex1,hang", 0, time.Second, "SYN unreachable @ 0s; PUT hang @ 50ms",
			want{75, "failed", "unreachable", 0, 2, "unreachable:1", time.Second},
		},
		{
			"on an I/O timeout", "refusex1,blackhole", 0, 300 * time.Millisecond, "SYN refuse @ 0s; SYN blackhole @ 50ms",
			want{75, "failed", "connection-refused", 1, 2, "connection-refused:1", 300 * time.Millisecond},
		},
		{"on the only I/O timeout", "hang", 0, 2 * time.Second, "PUT hang @ 0s", want{75, "failed", "read-timeout", 1, 1, "read-timeout:1", 2 * time.Second}},
		{"the shortest one", "refuse", 0, time.Millisecond, "SYN refuse @ 0s", want{75, "failed", "connection-refused", 1, 1, "connection-refused:1", time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).limits(tt.attempts, tt.deadline).run(t)
			tr.wantTrace(t, tt.trace)
			tr.wantEnd(t, tt.end)
			if at := tr.status.DeadlineAt; at == nil || at.Sub(*tr.status.StartedAt) != tt.deadline {
				t.Errorf("deadline_at %v", at)
			}
			if got := time.Duration(tr.status.Elapsed); got != tt.end.elapsed { // by the monotonic clock
				t.Errorf("elapsed_seconds %v, want %v", got, tt.end.elapsed)
			}
		})
	}
}

// Without limits, the wait lasts until IMDS answers.
func TestBudgetNoLimit(t *testing.T) {
	tr := faulty(t, "refuse:100h,ok").limits(0, 0)
	tr.config.Policy.Backoff.Max = time.Hour
	tr.gateOnly().run(t)
	if tr.exit != readiness.ExitOK || tr.elapsed < 100*time.Hour || tr.elapsed > 101*time.Hour {
		t.Errorf("exit %d after %v", tr.exit, tr.elapsed)
	}
	if tr.status.DeadlineAt != nil {
		t.Errorf("deadline_at %v", tr.status.DeadlineAt)
	}
}

// With eager, the backoff restarts when an attempt gets further than any before it, and
// only then.
func TestBudgetEager(t *testing.T) {
	const faults = "unreachablex3,refusex3,unreachablex2,blackholex1,refusex1,503x3,refusex2,404@putx1,ok"
	for _, tt := range []struct {
		name  string
		eager bool
		trace string
	}{
		{"eager", true, "SYN unreachable @ 0s 50ms 150ms; SYN refuse @ 350ms 400ms 500ms; SYN unreachable @ 700ms 1.1s; SYN blackhole @ 1.6s;" +
			" SYN refuse @ 2.35s; PUT 503 @ 2.85s 2.9s 3s; SYN refuse @ 3.2s 3.6s; PUT 404 @ 4.1s; PUT 200 @ 4.6s; DOC 200 @ 4.6s"},
		{"not eager", false, "SYN unreachable @ 0s 50ms 150ms; SYN refuse @ 350ms 750ms 1.25s; SYN unreachable @ 1.75s 2.25s; SYN blackhole @ 2.75s;" +
			" SYN refuse @ 3.5s; PUT 503 @ 4s 4.5s 5s; SYN refuse @ 5.5s 6s; PUT 404 @ 6.5s; PUT 200 @ 7s; DOC 200 @ 7s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, faults).gateOnly()
			tr.config.Policy.Eager = tt.eager
			tr.run(t).wantTrace(t, tt.trace)
		})
	}
}

// A pause counts from the failure, even if reporting it takes time, so that the wait ends
// at its deadline.
func TestDeadlineWithASlowManager(t *testing.T) {
	tr := faulty(t, "refuse").gateOnly().limits(0, 5*time.Second)
	const each = 3 * time.Millisecond
	tr.notify = func(string) error {
		time.Sleep(each)
		return nil
	}
	tr.run(t)
	if want := 5*time.Second + each; tr.elapsed != want { // the duration of the last datagram
		t.Errorf("ended after %v, want %v", tr.elapsed, want)
	}
}
