// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// How much of a timeline is shown, and how far it is followed to find its end:
// a deadline of a week with pauses of 1 ms has more attempts than anybody reads.
const (
	shownSteps   = 8
	countedSteps = 100_000
)

// mode is a way for IMDS to be away that lasts.
type mode struct {
	Name  string       `json:"name"`
	Class policy.Class `json:"class"`
	// Cost is how long one attempt takes to fail.
	Cost seconds `json:"attempt_seconds"`
	// Steps are the first attempts, at the latest time that each can have.
	Steps []step `json:"attempts"`
	// Tries is how many there are in all; More: that many and on.
	Tries int  `json:"tries"`
	More  bool `json:"more"`
	// EndsAt and Reason are when and why it gives up; null: never.
	EndsAt *seconds `json:"ends_at_seconds"`
	Reason string   `json:"reason"`
	// Exit is what run ends with then.
	Exit *int `json:"exit_code"`
}

type step struct {
	Try   int     `json:"try"`
	Start seconds `json:"start_seconds"`
	End   seconds `json:"end_seconds"`
}

// seconds is a duration that JSON has as a number of seconds.
type seconds time.Duration

// MarshalJSON implements [json.Marshaler].
func (s seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// modes replays the wait for the identity document, once for each way in which
// IMDS can be away.
func modes(c *config.Config) []mode {
	p := c.Readiness.Policy
	first := c.Readiness.Require[0]
	p.MaxAttempts, p.Deadline = first.MaxAttempts, first.Deadline
	// cost is how long an attempt takes that times out. Of two families the second
	// starts later, when the first has failed at the latest, so it also ends later.
	cost := func(timeout time.Duration) seconds {
		if len(c.IMDS.Endpoints) > 1 {
			return seconds(min(readiness.HeadStart, timeout) + timeout)
		}
		return seconds(timeout)
	}
	all := []mode{
		{Name: "refuses connections", Class: policy.ConnectionRefused},
		{Name: "is black-holed", Class: policy.ConnectTimeout, Cost: cost(p.ConnectTimeout)},
		{Name: "hangs", Class: policy.ReadTimeout, Cost: cost(p.ReadTimeout)},
		{Name: "answers 503", Class: policy.Status(http.StatusServiceUnavailable)},
	}
	for i := range all {
		all[i].replay(p, c.Readiness)
	}
	return all
}

func (m *mode) replay(p policy.Policy, c readiness.Config) {
	f := policy.Failure{
		Class: m.Class, Path: readiness.IdentityPath, Required: true,
		Token: true, Headers: m.Class.Answered(),
	}
	for s := range p.Timeline(f, time.Duration(m.Cost)) {
		m.Tries = s.Try
		if len(m.Steps) < shownSteps {
			m.Steps = append(m.Steps, step{Try: s.Try, Start: seconds(s.Start), End: seconds(s.End)})
		}
		if s.Stop != nil {
			end := seconds(s.End + s.Pause)
			exit := int(readiness.ExitTempFail)
			if c.OnTimeout == readiness.Continue {
				exit = int(readiness.ExitOK)
			}
			m.EndsAt, m.Reason, m.Exit = &end, s.Stop.Error(), &exit
			return
		}
		if s.Try == countedSteps || p.Deadline == 0 && p.MaxAttempts == 0 && s.Try > shownSteps {
			break
		}
	}
	m.More = true
}

// ending says how it ends, in words.
func (m mode) ending() string {
	if m.EndsAt == nil {
		if m.Tries < countedSteps {
			return "never gives up"
		}
		return fmt.Sprintf("goes on after %d tries", m.Tries)
	}
	tries := fmt.Sprintf("%d tries", m.Tries)
	if m.Tries == 1 {
		tries = "1 try"
	}
	what := fmt.Sprintf("exit %d", *m.Exit)
	if *m.Exit == int(readiness.ExitOK) {
		what = "READY=1 all the same, state degraded"
	}
	return fmt.Sprintf("gives up at %s after %s (%s): %s", time.Duration(*m.EndsAt), tries, m.Reason, what)
}

// printModes prints a line of attempts and a line of ending for each mode.
func printModes(w io.Writer, all []mode) {
	fmt.Fprintln(w, "What the policy does, each attempt at its latest (jitter only makes pauses shorter):")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range all {
		var starts []string
		for _, s := range m.Steps {
			starts = append(starts, time.Duration(s.Start).String())
		}
		if m.More || m.Tries > len(m.Steps) {
			starts = append(starts, "...")
		}
		fmt.Fprintf(t, "\nIMDS %s\tattempts at %s\n\t%s\n", m.Name, strings.Join(starts, " "), m.ending())
	}
	t.Flush()
}
