// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/policy"
)

// wait is a daemon's loop around a Budget, with a clock that only the attempts
// and the pauses move: what check prints has to be what run does.
func wait(p policy.Policy, f policy.Failure, cost time.Duration, limit int) (all []policy.Step) {
	budget := exact(p).Budget()
	var clock time.Duration
	for len(all) < limit {
		step := policy.Step{Try: len(all) + 1, Start: clock}
		left := p.Deadline - clock
		if p.Deadline > 0 && cost > 0 && cost >= left {
			// The request is cut: it counts only where it is the only one.
			step.Cut, step.End, step.Stop = true, p.Deadline, policy.ErrDeadline
			step.Attempt = budget.Attempts()
			if len(all) == 0 && p.Decide(f) != policy.Wait {
				step.Attempt = 1
			}
			return append(all, step)
		}
		clock += cost
		v := budget.Next(f, clock)
		step.End, step.Attempt, step.Pause, step.Stop = clock, v.Attempt, v.Pause, v.Stop
		clock += v.Pause
		if v.Stop == nil && p.Deadline > 0 && clock == p.Deadline {
			step.Stop = policy.ErrDeadline
		}
		if all = append(all, step); step.Stop != nil {
			return all
		}
	}
	return all
}

// waits draws a wait: a policy, how each attempt fails, and how long that takes.
func waits(t *rapid.T) (policy.Policy, policy.Failure, time.Duration) {
	p, _ := policy.Preset(rapid.SampledFrom(policy.PresetNames()).Draw(t, "preset"))
	p.MaxAttempts = rapid.IntRange(0, 30).Draw(t, "max attempts")
	p.Deadline = time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "deadline"))
	p.Backoff = backoffs(t)
	p.RetryConnectTimeouts = rapid.Bool().Draw(t, "toggle")
	p.Eager = rapid.Bool().Draw(t, "eager")
	f := policy.Failure{
		Class:      rapid.SampledFrom(attemptClasses()).Draw(t, "class"),
		Required:   rapid.Bool().Draw(t, "required"),
		Token:      rapid.Bool().Draw(t, "token"),
		Headers:    rapid.Bool().Draw(t, "headers"),
		RetryAfter: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "Retry-After")),
	}
	cost := time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(5*time.Second))).Draw(t, "cost"))
	return p, f, cost
}

func TestTimelineIsWhatABudgetDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f, cost := waits(t)
		const limit = 300
		want := wait(p, f, cost, limit)
		got := steps(p, f, cost, limit)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("step %d: %+v\nwant %+v", i, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d steps, want %d", len(got), len(want))
		}
	})
}

// TestTimelineHolds: what a reader of the table relies on.
func TestTimelineHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f, cost := waits(t)
		var now time.Duration
		all := steps(p, f, cost, 300)
		for i, s := range all {
			last := i == len(all)-1
			switch {
			case s.Try != i+1 || s.Start != now || s.End < s.Start || s.Pause < 0:
				t.Fatalf("step %d: %+v, want it to start at %v", i, s, now)
			case p.Deadline > 0 && s.End+s.Pause > p.Deadline:
				t.Fatalf("step %d: %+v, past the deadline %v", i, s, p.Deadline)
			case p.MaxAttempts > 0 && s.Attempt > p.MaxAttempts:
				t.Fatalf("step %d: %+v, past max_attempts %d", i, s, p.MaxAttempts)
			case s.Cut && (s.Stop != policy.ErrDeadline || s.End != p.Deadline):
				t.Fatalf("step %d: %+v, cut but not at the deadline %v", i, s, p.Deadline)
			case s.Stop != nil && !last, s.Stop == nil && last && len(all) < 300:
				t.Fatalf("step %d of %d: %+v", i, len(all), s)
			}
			now = s.End + s.Pause
		}
	})
}
