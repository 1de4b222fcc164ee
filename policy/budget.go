// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"time"
)

// The reasons for giving up a path. Their texts reach the log.
var (
	// ErrAttempts is a budget whose MaxAttempts are used up.
	ErrAttempts = errors.New("max_attempts reached")
	// ErrDeadline is a wait whose Deadline is reached.
	ErrDeadline = errors.New("deadline reached")
	// ErrFinal is a failure whose action is Fail or Absent.
	ErrFinal = errors.New("not retried by the policy")
)

// retryAfterCap is how far a Retry-After may lengthen a pause if max_backoff is
// smaller.
const retryAfterCap = 30 * time.Second

// Budget counts the attempts at one path and keeps its place on the curve of
// pauses. It is not safe for concurrent use.
type Budget struct {
	policy   Policy
	attempts int
	step     int // the next pause's place on the curve
	rank     int // the highest rank so far; -1 before the first failure
	limited  bool
}

// Budget returns a new budget for one path.
func (p Policy) Budget() *Budget { return &Budget{policy: p.WithDefaults(), rank: -1} }

// Verdict is what to do after a failed attempt.
type Verdict struct {
	// Action is the policy's decision about the failure.
	Action Action
	// Rule is the number of the rule that decided, from 1, or 0 if no rule did.
	Rule int
	// Attempt is how many attempts are used up.
	Attempt int
	// Pause is how long to wait before the next attempt, never past the
	// deadline. It is 0 if Stop is set.
	Pause time.Duration
	// Stop is ErrAttempts, ErrDeadline or ErrFinal, or nil if the wait continues.
	Stop error
}

// Next counts an attempt that failed at the time elapsed since the start of the wait,
// and returns how to proceed. A pause that would end past the deadline ends at the
// deadline; after it, the caller gives up with [ErrDeadline] (see [Budget.Expired]).
func (b *Budget) Next(f Failure, elapsed time.Duration) Verdict {
	p := b.policy
	decision := p.Explain(f)
	action := decision.Action
	if action != Wait {
		b.attempts++
	}
	rank := f.Class.Rank()
	if f.Other != nil {
		rank = max(rank, f.Other.Class.Rank())
	}
	if rank > b.rank {
		b.rank = rank
		if p.Eager {
			b.step = 0
		}
	}
	v := Verdict{Action: action, Rule: decision.Rule(), Attempt: b.attempts}
	switch {
	case action == Fail || action == Absent:
		v.Stop = ErrFinal
	case action != Wait && p.MaxAttempts > 0 && b.attempts >= p.MaxAttempts:
		v.Stop = ErrAttempts
	case p.Expired(elapsed):
		v.Stop = ErrDeadline
	default:
		delay := p.Backoff.Delay(b.step)
		if p.FromStart {
			delay = max(0, delay-f.Took)
		}
		v.Pause = p.lengthen(delay, f)
		b.step++
		if b.limited && p.Expired(elapsed+v.Pause) {
			v.Pause, v.Stop = 0, ErrDeadline
		} else {
			v.Pause = p.cut(v.Pause, elapsed)
		}
	}
	return v
}

// Success counts a successful attempt and returns the total number of attempts.
func (b *Budget) Success() int {
	b.attempts++
	return b.attempts
}

// Attempts returns how many attempts are used up.
func (b *Budget) Attempts() int { return b.attempts }

// Limit moves the deadline forward, to a time after the start of the wait; it
// never moves it back. After that, a pause that would reach the deadline ends the
// wait at once.
func (b *Budget) Limit(deadline time.Duration) {
	b.limited = true
	if p := &b.policy; p.Deadline == 0 || deadline < p.Deadline {
		p.Deadline = max(1, deadline)
	}
}

// Expired reports whether the deadline is reached at the time elapsed since the start
// of the wait.
func (b *Budget) Expired(elapsed time.Duration) bool { return b.policy.Expired(elapsed) }

// Expired reports whether the deadline is reached at the time elapsed since the start
// of the wait. It never is if there is no limit.
func (p Policy) Expired(elapsed time.Duration) bool {
	return p.Deadline > 0 && elapsed >= p.Deadline
}

// lengthen applies Retry-After (RFC 9110 section 10.2.3), which is defined for
// 429 and 503 only.
func (p Policy) lengthen(pause time.Duration, f Failure) time.Duration {
	if !p.HonorRetryAfter || f.Class != "429" && f.Class != "503" {
		return pause
	}
	return max(pause, min(f.RetryAfter, max(p.Backoff.Max, retryAfterCap)))
}

func (p Policy) cut(pause, elapsed time.Duration) time.Duration {
	if p.Deadline > 0 {
		return min(pause, p.Deadline-elapsed)
	}
	return pause
}
