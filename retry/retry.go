// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
)

// ErrAbsent is an optional path that the policy treats as not existing. See
// [Getter.Optional].
var ErrAbsent = errors.New("absent")

// GiveUpError is a path that could not be fetched. It has the reason for giving up and
// the last failure; both match [errors.Is].
type GiveUpError struct {
	// Path is the requested path, below "/latest/".
	Path string
	// Class is the class of the last failure. If only the second address family ever
	// answered, it is the class of its last answer.
	Class policy.Class
	// Attempts is how many attempts were used up.
	Attempts int
	// Stop is policy.ErrAttempts, policy.ErrDeadline or policy.ErrFinal.
	Stop error
	// Rule is the number of the policy's rule, from 1, that ended the wait, or 0 if
	// none did.
	Rule int
	// Last is the error of the last attempt.
	Last error
}

// Error names the path, the reason for giving up, and the last failure.
func (e *GiveUpError) Error() string {
	stop := e.Stop.Error()
	if e.Rule > 0 {
		stop = fmt.Sprintf("ended by retry.rule[%d]", e.Rule)
	}
	return fmt.Sprintf("getting %s: %s after %s: %v", e.Path, stop, words.Plural(e.Attempts, "attempt"), e.Last)
}

// Unwrap returns Stop and Last.
func (e *GiveUpError) Unwrap() []error { return []error{e.Stop, e.Last} }

// Get returns the body of a path below "/latest/", such as
// "meta-data/placement/region". It is [Getter.Get] for a path that must exist and must
// have a body.
func Get(ctx context.Context, client *imds.Client, p policy.Policy, path string) ([]byte, error) {
	return (&Getter{Client: client, Policy: p}).Get(ctx, path)
}

// Getter gets paths under a policy. Its zero value is ready to use. It is safe
// for concurrent use; every call of Get has a budget of its own.
type Getter struct {
	// Client makes the requests. If nil, each Get uses a new one.
	Client *imds.Client
	// Policy decides what is retried, when, and for how long.
	Policy policy.Policy
	// Optional is true for paths that may be absent or empty. If the policy decides
	// that such a path is absent, the error is [ErrAbsent].
	Optional bool
	// Start is the time from which the Deadline of the policy counts. If zero, it
	// counts from the call of Get.
	Start time.Time
	// Fetch makes one attempt within t. If nil, it is the GetWithin of the Client. If it
	// also checks the answer, it wraps [ErrEmpty] or [ErrContent] or returns a
	// [*MismatchError].
	Fetch func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error)
	// Listed is true for paths that their parent's listing names. It is passed to the
	// policy.
	Listed bool
	// GiveUpAt, if not nil, is called after each failure and returns a time, which
	// replaces the deadline of the policy if it is earlier. A path whose next attempt
	// would be later is given up at once.
	GiveUpAt func(policy.Failure) time.Time
	// Wake returns a channel that is closed when the network changes next, which ends
	// a pause early if the policy is Eager. If nil, pauses do not end early.
	Wake func() <-chan struct{}
	// Step, if not nil, is called before each attempt and each pause, with the longest
	// time that it can take.
	Step func(longest time.Duration)
	// Failed, if not nil, is called after each failed attempt.
	Failed func(policy.Failure, policy.Verdict, error)
}

// Get tries until the path is fetched or its budget is spent. The error is nil,
// [ErrAbsent], a [*GiveUpError], or the cause of the end of the context. Only the
// monotonic clock is used.
func (g *Getter) Get(ctx context.Context, path string) ([]byte, error) {
	r := run{Getter: *g, path: path, policy: g.Policy.WithDefaults()}
	if r.Start.IsZero() {
		r.Start = time.Now()
	}
	if r.Client == nil {
		r.Client = new(imds.Client)
	}
	if r.Fetch == nil {
		r.Fetch = r.Client.GetWithin
	}
	if r.Step == nil {
		r.Step = func(time.Duration) {}
	}
	if r.Failed == nil {
		r.Failed = func(policy.Failure, policy.Verdict, error) {}
	}
	return r.loop(ctx)
}

// run is one call of Get.
type run struct {
	Getter
	path   string
	policy policy.Policy

	deadline     time.Time    // of the attempts, or zero
	answered     bool         // by the first address family, or the only one
	secondAnswer policy.Class // the last answer of the second family
}

func (r *run) loop(ctx context.Context) ([]byte, error) {
	budget := r.policy.Budget()
	if r.policy.Deadline > 0 {
		r.deadline = r.Start.Add(r.policy.Deadline)
	}
	var last *GiveUpError
	wake := r.wake() // before the attempt, so that no news is lost
	for {
		r.Step(LongestAttempt(r.policy))
		begun := time.Now()
		body, err := r.attempt(ctx)
		if err == nil {
			return body, nil
		}
		if ctx.Err() != nil { // the caller's context ended, not the deadline
			return nil, context.Cause(ctx)
		}
		elapsed := time.Since(r.Start)
		f, begun := r.failure(err, begun)
		r.limit(budget, f)
		cut := budget.Expired(elapsed) && timedOut(f.Class)
		if cut && last != nil {
			last.Stop = policy.ErrDeadline // this attempt does not count
			return nil, last
		}
		v := budget.Next(f, elapsed)
		if cut { // it was the only attempt, so it counts
			v.Stop = policy.ErrDeadline
		}
		r.Failed(f, v, err)
		if v.Action == policy.Absent && r.Optional {
			return nil, ErrAbsent
		}
		last = &GiveUpError{Path: r.path, Class: r.decisive(f), Attempts: v.Attempt, Stop: v.Stop, Last: err}
		if errors.Is(v.Stop, policy.ErrFinal) {
			last.Rule = v.Rule
		}
		if v.Stop != nil {
			return nil, last
		}
		r.Step(v.Pause)
		if !wakeable(f) {
			wake = nil
		}
		failed := r.Start.Add(elapsed) // the calls of observers took time since
		if wake, err = r.pauseOrNews(ctx, begun, failed.Add(v.Pause), wake); err != nil {
			return nil, err
		}
		if budget.Expired(time.Since(r.Start)) {
			last.Stop = policy.ErrDeadline
			return nil, last
		}
	}
}

// limit brings the deadline forward to what GiveUpAt says about a failure.
func (r *run) limit(budget *policy.Budget, f policy.Failure) {
	if r.GiveUpAt == nil {
		return
	}
	at := r.GiveUpAt(f)
	budget.Limit(at.Sub(r.Start))
	if r.deadline.IsZero() || at.Before(r.deadline) {
		r.deadline = at
	}
}

// attempt makes one attempt, which the deadline cuts. A path that is not optional must
// have a body.
func (r *run) attempt(ctx context.Context) ([]byte, error) {
	if !r.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.deadline)
		defer cancel()
	}
	body, err := r.Fetch(ctx, timeouts(r.policy), r.path)
	if err == nil && len(body) == 0 && !r.Optional {
		return nil, fmt.Errorf("GET %s: %w", r.path, ErrEmpty)
	}
	return body, err
}

// failure describes a failed attempt to the policy, and returns when it began: the call
// began at begun, but the attempt may have waited for its turn.
func (r *run) failure(err error, begun time.Time) (policy.Failure, time.Time) {
	if e, ok := errors.AsType[*imds.Error](err); ok && !e.Begun.IsZero() {
		begun = e.Begun
	}
	f := Classify(err, r.path, r.Optional)
	f.Listed, f.Took = r.Listed, time.Since(begun)
	return f, begun
}

// decisive returns the class of the GiveUpError if no attempt follows a failure.
func (r *run) decisive(f policy.Failure) policy.Class {
	if f.Other == nil {
		r.answered = r.answered || f.Class.Answered()
		return f.Class
	}
	for _, c := range []policy.Class{f.Class, f.Other.Class} {
		if c.Answered() { // the first family's answer would have no Other
			r.secondAnswer = c
		}
	}
	if !r.answered && r.secondAnswer != "" {
		return r.secondAnswer
	}
	return f.Class
}

const (
	// minApart is the shortest time between the starts of two attempts at a path if
	// news of the network ends the pause between them, so that a flood of news does
	// not become a flood of requests. The documented limits are 25 ms and 40 attempts
	// per second.
	minApart = 26 * time.Millisecond
	// settling is the time from news to the attempt: an address is announced 0.3 ms
	// before its route works.
	settling = 2 * time.Millisecond
)

// wake returns the channel that ends the next pause early, or nil.
func (r *run) wake() <-chan struct{} {
	if r.Wake == nil || !r.policy.Eager {
		return nil
	}
	return r.Wake()
}

// wakeable reports whether a change of the network can end the failure.
func wakeable(f policy.Failure) bool {
	switch f.Class {
	case policy.Unreachable, policy.Blocked, policy.ConnectionRefused, policy.ConnectTimeout:
		return true
	default:
		return f.Other != nil && wakeable(*f.Other)
	}
}

// pauseOrNews sleeps until end, or until wake is closed. In that case it sleeps until the
// change has settled, and at least until minApart after begun, when the last attempt
// began. It returns the channel for the next pause. News that comes while a change settles
// ends that pause.
func (r *run) pauseOrNews(ctx context.Context, begun, end time.Time, wake <-chan struct{}) (again <-chan struct{}, err error) {
	woken, err := pause(ctx, end, wake)
	again = r.wake()
	if err != nil || !woken {
		return again, err
	}
	next := time.Now().Add(settling)
	if earliest := begun.Add(minApart); earliest.Before(end) && earliest.After(next) {
		next = earliest
	}
	if !r.deadline.IsZero() && next.After(r.deadline) {
		next = r.deadline
	}
	_, err = pause(ctx, next, nil)
	return again, err
}

// pause sleeps until end, or until wake is closed, and reports which. If the context
// ends, it returns the context's cause. If wake is nil, nothing ends the pause early.
func pause(ctx context.Context, end time.Time, wake <-chan struct{}) (woken bool, err error) {
	d := time.Until(end)
	if d <= 0 {
		return false, context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case <-wake:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// timedOut reports whether the deadline cut an attempt that ended at it. The context
// and the timeout of the connection end at the same time, and either may come first.
func timedOut(c policy.Class) bool {
	return c == policy.ConnectTimeout || c == policy.ReadTimeout
}

// timeouts returns the timeouts of one attempt.
func timeouts(p policy.Policy) imds.Timeouts {
	t := imds.Timeouts{Connect: p.ConnectTimeout, Read: p.ReadTimeout}
	if p.Eager {
		t.Hedge = p.Hedge
	}
	return t
}

// LongestAttempt returns how long a PUT and a GET can take under a policy, including
// the delays that a race of two endpoints adds.
func LongestAttempt(p policy.Policy) time.Duration {
	p = p.WithDefaults()
	return 2*(p.ConnectTimeout+p.ReadTimeout) + imds.HeadStart + imds.Patience
}
