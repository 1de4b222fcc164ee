// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// The issue's own example: one budget for the PUT and the GET.
func TestBudgetFourPUTs(t *testing.T) {
	tr := faulty(t, "500@put").patience(4, 5*time.Minute).run(t)
	tr.wantTrace(t, "PUT 500 @ 0s 50ms 150ms 350ms")
	tr.wantEnd(t, want{75, "failed", "500", 4, 4, "500:4", 350 * time.Millisecond})
}

// A PUT that fails and a GET that fails share the count of their path.
func TestBudgetPUTAndGETShareOneCount(t *testing.T) {
	tr := faulty(t, "503@putx2,503@get").patience(4, 5*time.Minute).run(t)
	tr.wantTrace(t, "PUT 503 @ 0s 50ms; PUT 200 @ 150ms; DOC 503 @ 150ms 350ms")
	tr.wantEnd(t, want{75, "failed", "503", 4, 5, "503:4", 350 * time.Millisecond})
}

// The wait gives up exactly at the deadline, wherever it falls. What is cut
// there counts in requests only, unless it was the only attempt.
func TestBudgetDeadline(t *testing.T) {
	tests := []struct {
		name, fault string
		deadline    time.Duration
		trace       string
		end         want
	}{
		{
			"in a pause", "refuse", time.Second, "SYN refuse @ 0s 50ms 150ms 350ms 750ms",
			want{75, "failed", "connection-refused", 5, 5, "connection-refused:5", time.Second},
		},
		{
			"at the end of a pause", "refuse", 750 * time.Millisecond, "SYN refuse @ 0s 50ms 150ms 350ms",
			want{75, "failed", "connection-refused", 4, 4, "connection-refused:4", 750 * time.Millisecond},
		},
		{
			"in a connect", "refusex1,blackhole", 100 * time.Millisecond, "SYN refuse @ 0s; SYN blackhole @ 50ms",
			want{75, "failed", "connection-refused", 1, 2, "connection-refused:1", 100 * time.Millisecond},
		},
		{
			"in the only connect", "blackhole", 100 * time.Millisecond, "SYN blackhole @ 0s",
			want{75, "failed", "connect-timeout", 1, 1, "connect-timeout:1", 100 * time.Millisecond},
		},
		{"in the only PUT", "hang", time.Second, "PUT hang @ 0s", want{75, "failed", "read-timeout", 1, 1, "read-timeout:1", time.Second}},
		{
			"in the only GET", "hang@get", time.Second, "PUT 200 @ 0s; DOC hang @ 0s",
			want{75, "failed", "read-timeout", 1, 2, "read-timeout:1", time.Second},
		},
		{
			"in a later GET", "503@getx1,stall@get", time.Second, "PUT 200 @ 0s; DOC 503 @ 0s; DOC 200 stall @ 50ms",
			want{75, "failed", "503", 1, 3, "503:1", time.Second},
		},
		{
			"after a wait, which is an attempt too", "unreachablex1,hang", time.Second, "SYN unreachable @ 0s; PUT hang @ 50ms",
			want{75, "failed", "unreachable", 0, 2, "unreachable:1", time.Second},
		},
		{
			"on an I/O timeout", "refusex1,blackhole", 300 * time.Millisecond, "SYN refuse @ 0s; SYN blackhole @ 50ms",
			want{75, "failed", "connection-refused", 1, 2, "connection-refused:1", 300 * time.Millisecond},
		},
		{
			"on the only I/O timeout", "hang", 2 * time.Second, "PUT hang @ 0s",
			want{75, "failed", "read-timeout", 1, 1, "read-timeout:1", 2 * time.Second},
		},
		{"the shortest one", "refuse", time.Millisecond, "SYN refuse @ 0s", want{75, "failed", "connection-refused", 1, 1, "connection-refused:1", time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).patience(0, tt.deadline).run(t)
			tr.wantTrace(t, tt.trace)
			tr.wantEnd(t, tt.end)
			if at := tr.status.DeadlineAt; at == nil || at.Sub(*tr.status.StartedAt) != tt.deadline {
				t.Errorf("deadline_at %v", at)
			}
		})
	}
}

// No deadline and no max_attempts: as long as it takes.
func TestBudgetNoLimit(t *testing.T) {
	tr := faulty(t, "refuse:100h,ok").patience(0, 0)
	tr.config.Policy.Backoff.Max = time.Hour
	tr.alone().run(t)
	if tr.exit != readiness.ExitOK || tr.elapsed < 100*time.Hour || tr.elapsed > 101*time.Hour {
		t.Errorf("exit %d after %v", tr.exit, tr.elapsed)
	}
	if tr.status.DeadlineAt != nil {
		t.Errorf("deadline_at %v", tr.status.DeadlineAt)
	}
}

// max_attempts = 1: the one attempt, and no pause.
func TestBudgetOneAttempt(t *testing.T) {
	tr := faulty(t, "503@put").patience(1, time.Minute).run(t)
	tr.wantTrace(t, "PUT 503 @ 0s")
	tr.wantEnd(t, want{75, "failed", "503", 1, 1, "503:1", 0})
}

// wait uses up no attempt, so max_attempts ends only what comes after it.
func TestBudgetWaitIsFree(t *testing.T) {
	tr := faulty(t, "unreachablex5,refuse").patience(2, time.Minute).run(t)
	tr.wantTrace(t, "SYN unreachable @ 0s 50ms 150ms 350ms 750ms; SYN refuse @ 1.25s 1.3s")
	tr.wantEnd(t, want{75, "failed", "connection-refused", 2, 7, "connection-refused:2 unreachable:5", 1300 * time.Millisecond})
}

// A clock step changes nothing: what is slept is what was asked for. The
// elapsed time in the status is that of the monotonic clock too.
func TestBudgetElapsed(t *testing.T) {
	tr := faulty(t, "refuse").patience(0, 90*time.Second).run(t)
	if got := time.Duration(tr.status.Elapsed); got != 90*time.Second || tr.elapsed != got {
		t.Errorf("elapsed_seconds %v after %v", got, tr.elapsed)
	}
}

// The backoff starts anew at a class that is more alive than any before, and
// at no other: at most once for each.
func TestBudgetSignOfLife(t *testing.T) {
	const faults = "unreachablex3,refusex3,unreachablex2,blackholex1,refusex1,503x3,refusex2,404@putx1,ok"
	tests := []struct {
		name  string
		eager bool
		trace string
	}{
		{"eager", true, "SYN unreachable @ 0s 50ms 150ms; SYN refuse @ 350ms 400ms 500ms; SYN unreachable @ 700ms 1.1s; SYN blackhole @ 1.6s;" +
			" SYN refuse @ 2.35s; PUT 503 @ 2.85s 2.9s 3s; SYN refuse @ 3.2s 3.6s; PUT 404 @ 4.1s; PUT 200 @ 4.6s; DOC 200 @ 4.6s"},
		{"not eager", false, "SYN unreachable @ 0s 50ms 150ms; SYN refuse @ 350ms 750ms 1.25s; SYN unreachable @ 1.75s 2.25s; SYN blackhole @ 2.75s;" +
			" SYN refuse @ 3.5s; PUT 503 @ 4s 4.5s 5s; SYN refuse @ 5.5s 6s; PUT 404 @ 6.5s; PUT 200 @ 7s; DOC 200 @ 7s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, faults).alone()
			tr.config.Policy.Eager = tt.eager
			tr.run(t).wantTrace(t, tt.trace)
		})
	}
}

// A pause counts from the failure, whatever it costs to tell of it, so that the
// wait ends at its deadline.
func TestDeadlineWithASlowManager(t *testing.T) {
	tr := faulty(t, "refuse").alone().patience(0, 5*time.Second)
	const each = 3 * time.Millisecond
	tr.notify = func(string) error {
		time.Sleep(each)
		return nil
	}
	tr.run(t)
	if want := 5*time.Second + each; tr.elapsed != want { // the last datagram's
		t.Errorf("ended after %v, want %v", tr.elapsed, want)
	}
}
