// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// event is one failed attempt and what has to follow.
type event struct {
	class policy.Class
	at    time.Duration // since the start of the wait
	want  policy.Verdict
}

// on is a verdict to go on.
func on(action policy.Action, attempt int, pause time.Duration) policy.Verdict {
	return policy.Verdict{Action: action, Attempt: attempt, Pause: pause}
}

// stop is a verdict to give up.
func stop(action policy.Action, attempt int, why error) policy.Verdict {
	return policy.Verdict{Action: action, Attempt: attempt, Stop: why}
}

// bootWith is boot without jitter, with its own limits.
func bootWith(t *testing.T, attempts int, deadline time.Duration) policy.Policy {
	t.Helper()
	p := exact(preset(t, "boot"))
	p.MaxAttempts, p.Deadline = attempts, deadline
	return p
}

// waitTest is a name, a policy and what has to follow each failed attempt.
type waitTest struct {
	name   string
	policy policy.Policy
	events []event
}

func (w waitTest) run(t *testing.T) {
	budget := w.policy.Budget()
	if got := budget.Attempts(); got != 0 {
		t.Errorf("%d attempts before the first", got)
	}
	for i, e := range w.events {
		got := budget.Next(required(e.class), e.at)
		if got != e.want {
			t.Errorf("attempt %d, %s at %v: %+v\nwant %+v", i+1, e.class, e.at, got, e.want)
		}
		if budget.Attempts() != e.want.Attempt {
			t.Errorf("attempt %d: Attempts() = %d, want %d", i+1, budget.Attempts(), e.want.Attempt)
		}
	}
}

func TestBudgetAttempts(t *testing.T) {
	const s = time.Second
	refused, unreachable := policy.ConnectionRefused, policy.Unreachable
	for _, w := range []waitTest{
		{"max_attempts counts every try, the first included", bootWith(t, 3, 0), []event{
			{refused, 0, on(policy.Retry, 1, 50*ms)},
			{refused, 50 * ms, on(policy.Retry, 2, 100*ms)},
			{refused, 150 * ms, stop(policy.Retry, 3, policy.ErrAttempts)},
		}},
		{"max_attempts 1 is one try", bootWith(t, 1, 0), []event{
			{"503", 0, stop(policy.Retry, 1, policy.ErrAttempts)},
		}},
		{"max_attempts 0 is no limit", bootWith(t, 0, 0), []event{
			{refused, 0, on(policy.Retry, 1, 50*ms)},
			{refused, 200 * time.Hour, on(policy.Retry, 2, 100*ms)},
		}},
		{"wait uses up no attempt but walks the curve", bootWith(t, 1, 0), []event{
			{unreachable, 0, on(policy.Wait, 0, 50*ms)},
			{unreachable, 50 * ms, on(policy.Wait, 0, 100*ms)},
			{unreachable, 150 * ms, on(policy.Wait, 0, 200*ms)},
			{refused, 350 * ms, stop(policy.Retry, 1, policy.ErrAttempts)},
		}},
		{"wait between attempts keeps the count", bootWith(t, 2, 0), []event{
			{refused, 0, on(policy.Retry, 1, 50*ms)},
			{unreachable, 50 * ms, on(policy.Wait, 1, 100*ms)},
			{refused, 150 * ms, stop(policy.Retry, 2, policy.ErrAttempts)},
		}},
		{"only the deadline ends a wait", bootWith(t, 1, s), []event{
			{unreachable, 0, on(policy.Wait, 0, 50*ms)},
			{unreachable, s, stop(policy.Wait, 0, policy.ErrDeadline)},
		}},
		{"fail is final at once and an attempt", bootWith(t, 0, 0), []event{
			{policy.Disabled, 0, stop(policy.Fail, 1, policy.ErrFinal)},
		}},
		{"a token that answers 500 four times under sdk", exact(preset(t, "sdk")), []event{
			{"500", 0, on(policy.Retry, 1, s)},
			{"500", s, on(policy.Retry, 2, 2*s)},
			{"500", 3 * s, on(policy.Retry, 3, 4*s)},
			{"500", 7 * s, stop(policy.Retry, 4, policy.ErrAttempts)},
		}},
		{"401 again and again under sdk is bounded too", exact(preset(t, "sdk")), []event{
			{"401", 0, on(policy.Retry, 1, s)},
			{"401", s, on(policy.Retry, 2, 2*s)},
			{"503", 3 * s, on(policy.Retry, 3, 4*s)},
			{"401", 7 * s, stop(policy.Retry, 4, policy.ErrAttempts)},
		}},
	} {
		t.Run(w.name, w.run)
	}
}

// TestBudgetOrder: what ends the wait where several things do, and when.
func TestBudgetOrder(t *testing.T) {
	const s = time.Second
	refused := policy.ConnectionRefused
	for _, w := range []waitTest{
		{"final comes before attempts", bootWith(t, 1, 0), []event{
			{policy.TooLarge, 0, stop(policy.Fail, 1, policy.ErrFinal)},
		}},
		{"final comes before attempts and deadline", bootWith(t, 1, s), []event{
			{policy.Blocked, 2 * s, stop(policy.Fail, 1, policy.ErrFinal)},
		}},
		{"attempts come before the deadline", bootWith(t, 1, s), []event{
			{refused, s, stop(policy.Retry, 1, policy.ErrAttempts)},
		}},
		{"a pause ends at the deadline, to the nanosecond", bootWith(t, 0, s), []event{
			{refused, 0, on(policy.Retry, 1, 50*ms)},
			{refused, s - 100*ms, on(policy.Retry, 2, 100*ms)},          // would end there anyway
			{refused, s - 100*ms, on(policy.Retry, 3, 100*ms)},          // cut from 200 ms
			{refused, s - 1, on(policy.Retry, 4, 1)},                    // cut from 400 ms
			{refused, s, stop(policy.Retry, 5, policy.ErrDeadline)},     // reached
			{refused, 2 * s, stop(policy.Retry, 6, policy.ErrDeadline)}, // passed
		}},
	} {
		t.Run(w.name, w.run)
	}
}

func TestBudgetAbsentIsFinal(t *testing.T) {
	f := policy.Failure{Class: "404", Path: "meta-data/spot/instance-action", Headers: true}
	want := stop(policy.Absent, 1, policy.ErrFinal)
	if got := bootWith(t, 1, time.Second).Budget().Next(f, time.Hour); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestSuccessIsAnAttempt: status.json's attempts count the one that worked.
func TestSuccessIsAnAttempt(t *testing.T) {
	budget := bootWith(t, 0, 0).Budget()
	budget.Next(required(policy.Unreachable), 0) // a wait: none
	budget.Next(required("503"), 0)
	budget.Next(required("503"), 0)
	if got := budget.Success(); got != 3 || budget.Attempts() != 3 {
		t.Errorf("Success() = %d, Attempts() = %d, want 3", got, budget.Attempts())
	}
	if got := (policy.Policy{}).Budget().Success(); got != 1 {
		t.Errorf("Success() at the first try = %d, want 1", got)
	}
}

// TestBudgetsAreTheirOwn: each path has its own patience.
func TestBudgetsAreTheirOwn(t *testing.T) {
	p := bootWith(t, 2, 0)
	first, second := p.Budget(), p.Budget()
	first.Next(required("503"), 0)
	first.Next(required("503"), 0)
	if got, want := second.Next(required("503"), 0), on(policy.Retry, 1, 50*ms); got != want {
		t.Errorf("a second budget begins with %+v, want %+v", got, want)
	}
}

func TestExpired(t *testing.T) {
	tests := []struct {
		deadline, elapsed time.Duration
		want              bool
	}{
		{time.Second, 0, false},
		{time.Second, time.Second - 1, false},
		{time.Second, time.Second, true}, // exactly at the deadline
		{time.Second, time.Hour, true},
		{0, 1000 * time.Hour, false}, // no limit
		{0, 0, false},
	}
	for _, tt := range tests {
		if got := (policy.Policy{Deadline: tt.deadline}).Expired(tt.elapsed); got != tt.want {
			t.Errorf("deadline %v, elapsed %v: %v, want %v", tt.deadline, tt.elapsed, got, tt.want)
		}
	}
}

// TestStopsAreThree: callers branch on them, and they reach the log.
func TestStopsAreThree(t *testing.T) {
	for err, text := range map[error]string{
		policy.ErrAttempts: "max_attempts reached",
		policy.ErrDeadline: "deadline reached",
		policy.ErrFinal:    "not retried by the policy",
	} {
		if err.Error() != text {
			t.Errorf("%q, want %q", err, text)
		}
		for _, other := range []error{policy.ErrAttempts, policy.ErrDeadline, policy.ErrFinal} {
			if err != other && errors.Is(err, other) {
				t.Errorf("%v is %v", err, other)
			}
		}
	}
}
