// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// How much of a timeline is printed, and how far it is followed to find its end:
// a deadline of a week with pauses of 1 ms has too many attempts for both.
const (
	shownTries   = 8
	countedTries = 100_000
)

// outage is a way in which IMDS can fail for longer than the policy waits, and
// the timeline of that wait.
type outage struct {
	Name  string       `json:"name"`
	Class policy.Class `json:"class"`
	// Cost is how long one attempt takes to fail.
	Cost seconds `json:"attempt_seconds"`
	// Shown are the first tries, each at its latest possible time.
	Shown []try `json:"attempts"`
	// Tries is the number of all tries, or of those counted if More is true.
	Tries int  `json:"tries"`
	More  bool `json:"more"`
	// EndsAt and Reason are when and why the wait gives up. If EndsAt is nil, it
	// continues.
	EndsAt *seconds `json:"ends_at_seconds"`
	Reason string   `json:"reason"`
	// Exit is the exit code of run, or nil if the wait continues.
	Exit *int `json:"exit_code"`

	jitter bool // pauses may be shorter than shown
}

type try struct {
	Try   int     `json:"try"`
	Start seconds `json:"start_seconds"`
	End   seconds `json:"end_seconds"`
}

// seconds is a duration that is a number of seconds in JSON.
type seconds time.Duration

// MarshalJSON implements [json.Marshaler].
func (s seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// outages replays the wait for the identity document for each kind of outage.
func outages(c *config.Config) []outage {
	p := c.Readiness.Policy
	identity := c.Readiness.Require[0]
	p.MaxAttempts, p.Deadline = identity.MaxAttempts, identity.Deadline
	// With two address families the second starts when the first fails, or after the
	// head start, and therefore can time out later.
	cost := func(timeout, second time.Duration) seconds {
		if len(c.IMDS.Endpoints) > 1 {
			return seconds(max(timeout, min(imds.HeadStart, timeout)+second))
		}
		return seconds(timeout)
	}
	connect := imds.Timeouts{Connect: p.ConnectTimeout}
	all := []outage{
		{Name: "refuses connections", Class: policy.ConnectionRefused},
		{Name: "is black-holed", Class: policy.ConnectTimeout, Cost: cost(p.ConnectTimeout, connect.SecondConnect())},
		{Name: "hangs", Class: policy.ReadTimeout, Cost: cost(p.ReadTimeout, p.ReadTimeout)},
		{Name: "answers 503", Class: policy.Status(503)},
	}
	for i := range all {
		all[i].jitter = p.Backoff.Jitter != policy.JitterNone && p.Backoff.Jitter != ""
		all[i].replay(p, c.Readiness.OnTimeout)
	}
	return all
}

func (o *outage) replay(p policy.Policy, onTimeout readiness.Choice) {
	f := policy.Failure{
		Class: o.Class, Path: imds.IdentityPath, Required: true,
		Token: true, Headers: o.Class.Answered(),
	}
	for s := range p.Timeline(f, time.Duration(o.Cost)) {
		o.Tries = s.Try
		if len(o.Shown) < shownTries {
			o.Shown = append(o.Shown, try{Try: s.Try, Start: seconds(s.Start), End: seconds(s.End)})
		}
		if s.Stop != nil {
			end, exit := seconds(s.End+s.Pause), int(readiness.ExitTempFail)
			if onTimeout == readiness.Continue {
				exit = int(readiness.ExitOK)
			}
			o.EndsAt, o.Reason, o.Exit = &end, s.Stop.Error(), &exit
			return
		}
		if s.Try == countedTries || p.Deadline == 0 && p.MaxAttempts == 0 && s.Try > shownTries {
			break
		}
	}
	o.More = true
}

// ending describes how the wait ends.
func (o outage) ending() string {
	switch {
	case o.EndsAt == nil && o.Tries < countedTries:
		return "never gives up"
	case o.EndsAt == nil:
		return fmt.Sprintf("continues after %d tries", o.Tries)
	}
	tries := fmt.Sprintf("%d tries", o.Tries)
	switch {
	case o.Tries == 1:
		tries = "1 try"
	case o.jitter && o.EndsAt != nil && o.Reason == policy.ErrDeadline.Error():
		tries = "at least " + tries
	}
	result := fmt.Sprintf("exit %d", *o.Exit)
	if *o.Exit == int(readiness.ExitOK) {
		result = "sends READY=1 with the state degraded"
	}
	return fmt.Sprintf("gives up at %s after %s (%s): %s", time.Duration(*o.EndsAt), tries, o.Reason, result)
}

// noticed says how late IMDS can be noticed after it appears, as long as the policy
// retries. Within an attempt, a token request that hangs is repeated.
func noticed(c *config.Config) string {
	p := c.Readiness.Policy
	next := func(cost seconds) time.Duration { // between the starts of two attempts
		if p.FromStart {
			return max(p.Backoff.Max, time.Duration(cost))
		}
		return p.Backoff.Max + time.Duration(cost)
	}
	var late, hanging time.Duration
	for _, o := range outages(c) {
		switch d := next(o.Cost); {
		case o.Class != policy.ReadTimeout:
			late = max(late, d)
		case p.Eager && p.Hedge > 0 && p.Hedge < p.ReadTimeout:
			last := min(imds.MaxPUTs-1, (p.ReadTimeout-1)/p.Hedge) * p.Hedge // of the repeated requests
			hanging = max(p.Hedge, d-last)
		default:
			hanging = d
		}
	}
	return fmt.Sprintf("While the policy retries, IMDS is noticed at most %s after it appears (%s if the token request hangs).",
		words.Duration(late), words.Duration(hanging))
}

// printOutages prints a line of attempts and a line of ending for each outage.
func printOutages(w io.Writer, all []outage) {
	fmt.Fprintln(w, "Attempts under this policy, at their latest times (jitter only shortens pauses):")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range all {
		var starts []string
		for _, s := range o.Shown {
			starts = append(starts, time.Duration(s.Start).Round(time.Millisecond).String())
		}
		if o.More || o.Tries > len(o.Shown) {
			starts = append(starts, "...")
		}
		fmt.Fprintf(t, "\nIMDS %s\tattempts at %s\n\t%s\n", o.Name, strings.Join(starts, " "), o.ending())
	}
	t.Flush()
}
