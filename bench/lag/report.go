// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// aim is what the daemon's lag should be at most; 0: nothing is said.
type aim struct {
	kind     string
	p50, p90 time.Duration
}

func aims() []aim {
	return []aim{
		{kind: "refuse", p50: 200 * time.Millisecond, p90: 500 * time.Millisecond},
		{kind: "blackhole", p50: 300 * time.Millisecond, p90: 600 * time.Millisecond},
		{kind: "hang", p50: 700 * time.Millisecond},
		{kind: "503", p50: 200 * time.Millisecond, p90: 500 * time.Millisecond},
	}
}

// outcome is what the sweep came to.
type outcome struct {
	head, sdk string
	options   options
	waiters   []waiters.Waiter
	trials    []trial
}

// row sums up a waiter in a kind of outage.
func (o outcome) row(kind, waiter string) lags.Row {
	var all []lags.Trial
	for _, t := range o.trials {
		all = append(all, lags.Trial{Kind: t.kind, Waiter: t.of.Name, Lag: t.lag, GaveUp: t.gaveUp, Stuck: t.stuck})
	}
	return lags.Of(all, kind, waiter)
}

// rows are those of a kind of outage, or of all: "".
func (o outcome) rows(of string) []lags.Row {
	var all []lags.Row
	for _, kind := range kinds() {
		for _, w := range o.waiters {
			if of == "" || of == kind {
				all = append(all, o.row(kind, w.Name))
			}
		}
	}
	return all
}

func (o outcome) targets() []report.Target {
	var all []report.Target
	add := func(r lags.Row, name string, got float64, most time.Duration) {
		if most > 0 {
			all = append(all, report.Target{
				Name: fmt.Sprintf("%s, lag %s", r.Kind, name), Limit: seconds(most.Seconds()), Measured: seconds(got), Met: r.Met(got, most),
			})
		}
	}
	for _, a := range aims() {
		r := o.row(a.kind, waiters.Daemon)
		add(r, "p50", r.P50, a.p50)
		add(r, "p90", r.P90, a.p90)
	}
	return all
}

func (o outcome) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s
%d outages from %v to %v of each kind, which imds-ready meets %d times each; %d waiters at a time, each with a
simulator of its own on loopback.
The lag is from the end of the outage: of imds-ready to READY=1, the whole tree collected and written; of the
others to their exit, with the identity document alone. SDK: aws-sdk-go-v2/feature/ec2/imds %s. Stuck: not
ready %v after the outage.
`, o.head, o.options.outages, o.options.shortest, o.options.longest, o.options.again, o.options.parallel, o.sdk, o.options.over)
	if err != nil {
		return err
	}
	for _, kind := range kinds() {
		if err := o.writeKind(w, kind); err != nil {
			return err
		}
	}
	if err := report.WriteTargets(w, o.targets()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nThe curl loop:\n\n```sh\n%s\n```\n", waiters.Loop)
	return err
}

func (o outcome) writeKind(w io.Writer, kind string) error {
	if _, err := fmt.Fprintf(w, "\n## %s\n\n", kind); err != nil {
		return err
	}
	return lags.Table(w, seconds, o.rows(kind)...)
}

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }
