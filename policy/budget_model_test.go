// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/policy"
)

// model is a second implementation of Budget, written from imds-ready.toml(5) with
// integers: it multiplies the curve step by step instead of raising it to a power.
type model struct {
	policy     policy.Policy
	multiplier int64
	budget     *policy.Budget

	action policy.Action // the next decision of the classifier

	now, tried, slept time.Duration
	attempts, rung    int
	restarts          int
	next              time.Duration // the curve's next pause, without jitter
	stopped           bool
}

func newModel(t *rapid.T) *model {
	durations := func(label string, low, high time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(int64(low), int64(high)).Draw(t, label))
	}
	m := &model{multiplier: rapid.Int64Range(1, 100).Draw(t, "multiplier"), rung: -1}
	m.policy = policy.Policy{
		MaxAttempts: rapid.IntRange(0, 10).Draw(t, "max attempts"),
		Deadline:    durations("deadline", 0, 5*time.Minute),
		Backoff: policy.Backoff{
			Initial: durations("initial", ms, 10*time.Second), Max: durations("max", ms, time.Minute),
			Multiplier: float64(m.multiplier), Jitter: rapid.SampledFrom(policy.Jitters()).Draw(t, "jitter"),
		},
		Eager:           rapid.Bool().Draw(t, "eager"),
		HonorRetryAfter: rapid.Bool().Draw(t, "honor Retry-After"),
		Classifier:      func(policy.Failure) (policy.Action, bool) { return m.action, true },
	}
	m.next = min(m.policy.Backoff.Initial, m.policy.Backoff.Max)
	m.budget = m.policy.Budget()
	return m
}

// stop returns why the wait ends with this failure. Final comes before attempts, and
// attempts before the deadline.
func (m *model) stop() error {
	p := m.policy
	switch {
	case m.action == policy.Fail, m.action == policy.Absent:
		return policy.ErrFinal
	case m.action == policy.Retry && p.MaxAttempts > 0 && m.attempts == p.MaxAttempts:
		return policy.ErrAttempts
	case p.Deadline > 0 && m.now >= p.Deadline:
		return policy.ErrDeadline
	}
	return nil
}

// pause returns the range of the pause after f, including both ends.
func (m *model) pause(f policy.Failure) (low, high time.Duration) {
	switch m.policy.Backoff.Jitter {
	case policy.JitterFull:
		low, high = 0, m.next-1
	case policy.JitterEqual:
		low, high = m.next/2, m.next-1
	case policy.JitterNone:
		low, high = m.next, m.next
	}
	limit := func(d time.Duration) time.Duration {
		if m.policy.HonorRetryAfter && (f.Class == policy.Status(429) || f.Class == policy.Status(503)) {
			d = max(d, min(f.RetryAfter, max(m.policy.Backoff.Max, 30*time.Second)))
		}
		if m.policy.Deadline > 0 && m.now+d > m.policy.Deadline {
			d = m.policy.Deadline - m.now
		}
		return d
	}
	return limit(low), limit(high)
}

// attempt fails one attempt and compares the verdict with the model.
func (m *model) attempt(t *rapid.T, action policy.Action) {
	m.action = action
	cost := time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "cost"))
	if m.policy.Deadline > 0 { // the caller cuts an attempt at the deadline
		cost = min(cost, m.policy.Deadline-m.now)
	}
	f := policy.Failure{
		Class:      rapid.SampledFrom(attemptClasses()).Draw(t, "class"),
		RetryAfter: time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "Retry-After")),
	}
	m.now, m.tried = m.now+cost, m.tried+cost
	if action != policy.Wait {
		m.attempts++
	}
	if r := rung(f.Class); r > m.rung {
		if m.policy.Eager && m.rung >= 0 {
			m.next = min(m.policy.Backoff.Initial, m.policy.Backoff.Max)
			m.restarts++
		}
		m.rung = r
	}
	wantStop := m.stop()
	low, high := m.pause(f)
	if wantStop != nil {
		low, high = 0, 0
	}
	got := m.budget.Next(f, m.now)
	if got.Action != action || got.Attempt != m.attempts || got.Stop != wantStop || got.Pause < low || got.Pause > high {
		t.Fatalf("after %s at %v: %+v\nwant %s, attempt %d, a pause in [%v, %v], stop %v", f.Class, m.now, got, action, m.attempts, low, high, wantStop)
	}
	m.stopped = got.Stop != nil
	if !m.stopped {
		m.now, m.slept = m.now+got.Pause, m.slept+got.Pause
		m.next = min(m.next*time.Duration(m.multiplier), m.policy.Backoff.Max)
	}
}

// check checks what must be true at every moment of a wait.
func (m *model) check(t *rapid.T) {
	p := m.policy
	if p.Deadline > 0 && m.now > p.Deadline {
		t.Fatalf("slept to %v, past the deadline %v", m.now, p.Deadline)
	}
	if p.MaxAttempts > 0 && m.budget.Attempts() > p.MaxAttempts {
		t.Fatalf("%d attempts, max %d", m.budget.Attempts(), p.MaxAttempts)
	}
	if m.now != m.tried+m.slept {
		t.Fatalf("%v elapsed, of which %v in attempts and %v in pauses", m.now, m.tried, m.slept)
	}
	if m.restarts > len(ladder)-1 {
		t.Fatalf("%d restarts of the curve on a ladder of %d rungs", m.restarts, len(ladder))
	}
}

func TestBudgetModel(t *testing.T) {
	// Most are retries, because fail and absent end the wait.
	actions := rapid.SampledFrom([]policy.Action{
		policy.Retry, policy.Retry, policy.Retry, policy.Retry, policy.Retry, policy.Retry,
		policy.Wait, policy.Wait, policy.Wait, policy.Fail, policy.Absent,
	})
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range 100 {
			m.attempt(t, actions.Draw(t, "action"))
			m.check(t)
			if m.stopped {
				return
			}
		}
	})
}
