// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/markdown"
	"github.com/imds-ready/imds-ready/bench/internal/quantile"
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

// of returns the trials of a waiter in a kind of outage, and the lags of those
// that ended well.
func (o outcome) of(waiter, kind string) (all []trial, lags []time.Duration) {
	for _, t := range o.trials {
		if t.of.Name != waiter || t.kind != kind {
			continue
		}
		all = append(all, t)
		if !t.gaveUp && !t.stuck {
			lags = append(lags, t.lag)
		}
	}
	return all, lags
}

func (o outcome) targets() []report.Target {
	var all []report.Target
	add := func(kind, name string, q float64, most time.Duration) {
		if most == 0 {
			return
		}
		trials, lags := o.of(waiters.Daemon, kind)
		got := quantile.Of(lags, q)
		all = append(all, report.Target{
			Name: fmt.Sprintf("%s, lag %s", kind, name), Limit: seconds(most), Measured: seconds(got),
			Met: got <= most && len(lags) == len(trials),
		})
	}
	for _, a := range aims() {
		add(a.kind, "p50", 0.5, a.p50)
		add(a.kind, "p90", 0.9, a.p90)
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
	var rows [][]string
	for _, waiter := range o.waiters {
		trials, lags := o.of(waiter.Name, kind)
		gaveUp, stuck := 0, 0
		for _, t := range trials {
			if t.gaveUp {
				gaveUp++
			}
			if t.stuck {
				stuck++
			}
		}
		row := []string{waiter.Name, "-", "-", "-", fmt.Sprintf("%d of %d", gaveUp, len(trials)), fmt.Sprint(stuck)}
		if len(lags) > 0 {
			for i, q := range []float64{0.5, 0.9, 1} {
				row[1+i] = seconds(quantile.Of(lags, q))
			}
		}
		rows = append(rows, row)
	}
	return markdown.Table(w, []string{"lag", "p50", "p90", "max", "gave up", "stuck"}, rows...)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
