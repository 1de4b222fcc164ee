// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"iter"
	"time"
)

// Step is one try in a [Policy.Timeline].
type Step struct {
	// Try counts the tries from 1, including those that use up no attempt.
	Try int
	// Attempt is how many attempts are used up after the try.
	Attempt int
	// Start and End are when the try begins and ends, counted from the start of the
	// wait.
	Start, End time.Duration
	// Cut is true if the deadline ends the try before it fails by itself.
	Cut bool
	// Pause is the pause after the try.
	Pause time.Duration
	// Stop is why the wait ends with this step, at End plus Pause, or nil if it
	// goes on.
	Stop error
}

// Timeline replays a wait in which every attempt takes cost and fails in the same
// way. It omits jitter, so each attempt is shown at its latest possible time. The
// sequence is infinite if the policy has no limit.
func (p Policy) Timeline(f Failure, cost time.Duration) iter.Seq[Step] {
	p = p.WithDefaults()
	p.Backoff.Jitter = JitterNone
	return func(yield func(Step) bool) {
		budget := p.Budget()
		var now time.Duration
		for try := 1; ; try++ {
			s := Step{Try: try, Start: now, End: now + cost}
			if s.Cut = cost > 0 && p.Expired(s.End); s.Cut {
				s.End, s.Stop, s.Attempt = p.Deadline, ErrDeadline, budget.Attempts()
				if try == 1 { // the only one: it counts
					s.Attempt = budget.Next(f, s.End).Attempt
				}
				yield(s)
				return
			}
			f.Took = cost
			v := budget.Next(f, s.End)
			s.Attempt, s.Pause, s.Stop = v.Attempt, v.Pause, v.Stop
			now = s.End + s.Pause
			if s.Stop == nil && p.Expired(now) {
				s.Stop = ErrDeadline
			}
			if !yield(s) || s.Stop != nil {
				return
			}
		}
	}
}
