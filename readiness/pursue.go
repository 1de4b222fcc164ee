// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
)

// GiveUpError is a path that could not be had: what ended its budget, and the
// last failure. Both match errors.Is.
type GiveUpError struct {
	// Path is below the version.
	Path string
	// Class is the last failure's.
	Class policy.Class
	// Attempts is how many were used up.
	Attempts int
	// Stop is policy.ErrAttempts, policy.ErrDeadline or policy.ErrFinal.
	Stop error
	// Last is the last attempt's error.
	Last error
}

// Error says which path, why no more, and what failed last.
func (e *GiveUpError) Error() string {
	return fmt.Sprintf("getting %s: %v after %s: %v", e.Path, e.Stop, plural(e.Attempts, "attempt"), e.Last)
}

// Unwrap returns Stop and Last.
func (e *GiveUpError) Unwrap() []error { return []error{e.Stop, e.Last} }

// errAbsent is a path that the policy takes as not there.
var errAbsent = errors.New("absent")

// pursuit is the wait for one path.
type pursuit struct {
	path     string
	required bool
	policy   policy.Policy // with this path's own patience
	start    time.Time     // what its deadline counts from
	get      func(context.Context, string) ([]byte, error)
	// wake returns a channel that is closed by the next news of the network; nil:
	// there is none.
	wake func() <-chan struct{}
	// The observers; each attempt ends in failed, cut or had.
	before func(longest time.Duration) // an attempt or a pause comes next
	failed func(policy.Failure, policy.Verdict, error)
	had    func(attempts int)
}

// run tries until the path is had or its budget is spent. It returns the body;
// errAbsent; a [*GiveUpError]; or the cause of ctx's end. Time is read from the
// monotonic clock only.
func (p *pursuit) run(ctx context.Context) ([]byte, error) {
	budget := p.policy.Budget()
	until, cancel := p.until(ctx)
	defer cancel()
	var last *GiveUpError
	for {
		p.before(longestAttempt(p.policy))
		news := p.news() // taken first, so that none is lost
		body, err := p.get(until, p.path)
		if err == nil {
			p.had(budget.Success())
			return body, nil
		}
		if ctx.Err() != nil { // a signal, or the gate has ended; the deadline is until's
			return nil, context.Cause(ctx)
		}
		elapsed := time.Since(p.start)
		f := classify(err, p.path, p.required)
		cut := p.policy.Expired(elapsed) && timedOut(f.Class)
		if cut && last != nil {
			last.Stop = policy.ErrDeadline // this attempt does not count
			return nil, last
		}
		v := budget.Next(f, elapsed)
		if cut { // the only one: it counts
			v.Stop = policy.ErrDeadline
		}
		p.failed(f, v, err)
		if v.Action == policy.Absent && !p.required {
			return nil, errAbsent
		}
		last = &GiveUpError{Path: p.path, Class: f.Class, Attempts: v.Attempt, Stop: v.Stop, Last: err}
		if v.Stop != nil {
			return nil, last
		}
		p.before(v.Pause)
		if !wakeable(f.Class) {
			news = nil
		}
		failed := p.start.Add(elapsed) // telling of it has taken its time
		if err := pauseOrNews(ctx, failed.Add(v.Pause), news, p.soonest(f.Class, failed)); err != nil {
			return nil, err
		}
		if p.policy.Expired(time.Since(p.start)) {
			last.Stop = policy.ErrDeadline
			return nil, last
		}
	}
}

// minApart is how close news of the network may bring two attempts of a path:
// an address is announced 0.3 ms before its route works, and a flood of news
// must not become a flood of requests. 25 ms is what we promise; the rest is for a
// dial that is late, and for the short pauses that full jitter draws among them,
// so that it stays below 40 attempts in a second.
const minApart = 30 * time.Millisecond

// news is what ends the next pause early; nil: nothing.
func (p *pursuit) news() <-chan struct{} {
	if p.wake == nil || !p.policy.Eager {
		return nil
	}
	return p.wake()
}

// wakeable reports whether a failure is one that the network heals.
func wakeable(c policy.Class) bool {
	switch c {
	case policy.Unreachable, policy.Blocked, policy.ConnectionRefused, policy.ConnectTimeout:
		return true
	default:
		return false
	}
}

// soonest is when news may bring the next attempt, after one that failed. What
// counts is when its request went out: an attempt may have begun long before, and
// waited for a place or its turn. Without an answer that was when it failed, or
// the connect timeout before.
func (p *pursuit) soonest(c policy.Class, failed time.Time) time.Time {
	if c == policy.ConnectTimeout {
		failed = failed.Add(-p.policy.ConnectTimeout)
	}
	return failed.Add(minApart)
}

// pauseOrNews sleeps until end, or until there is news and it is not too soon.
func pauseOrNews(ctx context.Context, end time.Time, news <-chan struct{}, soonest time.Time) error {
	if err := pause(ctx, time.Until(end), news); err != nil {
		return err
	}
	if soonest.After(end) {
		soonest = end
	}
	return pause(ctx, time.Until(soonest), nil) // without news nothing is left to sleep
}

// until is ctx with this path's deadline.
func (p *pursuit) until(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.policy.Deadline == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, p.start.Add(p.policy.Deadline))
}

// timedOut reports whether an attempt that ended at the deadline was cut by it:
// the context and the I/O timeout end at the same time, and either may be seen
// first.
func timedOut(c policy.Class) bool {
	return c == policy.ConnectTimeout || c == policy.ReadTimeout
}

// longestAttempt is how long a PUT and a GET can take, a race's head start
// included.
func longestAttempt(p policy.Policy) time.Duration {
	return 2*(p.ConnectTimeout+p.ReadTimeout) + imds.HeadStart
}
