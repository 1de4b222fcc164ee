// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/markdown"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// The targets.
const (
	maxCPU  = 100 * time.Millisecond // a minute, refused
	maxRate = 40                     // requests in any one second
)

// outcome is what waiting came to.
type outcome struct {
	head    string
	howLong time.Duration
	waits   []wait
}

// cpuLimit is the part of a minute's that was waited for.
func (o outcome) cpuLimit() time.Duration {
	return time.Duration(float64(maxCPU) * o.howLong.Minutes())
}

func (o outcome) targets() []report.Target {
	var all []report.Target
	for _, w := range o.waits {
		switch {
		case w.waiter != waiters.Daemon:
		case w.kind == "refuse":
			all = append(all, report.Target{
				Name:  fmt.Sprintf("CPU time in %v, refused", o.howLong),
				Limit: ms(o.cpuLimit()), Measured: ms(w.CPU), Met: w.CPU <= o.cpuLimit() && !w.ended,
			})
		case w.kind == "503":
			all = append(all, report.Target{
				Name:  "requests in any one second, 503",
				Limit: fmt.Sprint(maxRate), Measured: fmt.Sprint(w.counts.Peak), Met: w.counts.Peak <= maxRate && !w.ended,
			})
		}
	}
	return all
}

func (o outcome) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, `%s
%v in which IMDS does not come up, all waiters at the same time, each for a simulator of its own. The CPU time
and the memory are the kernel's accounts of the whole process, children included, its start too.
`, o.head, o.howLong); err != nil {
		return err
	}
	for _, kind := range kinds() {
		var rows [][]string
		for _, x := range o.waits {
			if x.kind == kind {
				rows = append(rows, row(x))
			}
		}
		if _, err := fmt.Fprintf(w, "\n## %s\n\n", kind); err != nil {
			return err
		}
		header := []string{"", "waited", "CPU", "peak memory", "requests", "most in a second"}
		if err := markdown.Table(w, header, rows...); err != nil {
			return err
		}
	}
	return report.WriteTargets(w, o.targets())
}

func row(w wait) []string {
	waited := fmt.Sprintf("%.1f s", w.Exit.Seconds())
	if w.ended {
		waited = "gave up after " + waited
	}
	requests, most := "not seen", "not seen"
	if w.kind != "refuse" {
		requests = fmt.Sprint(w.counts.PUTs + w.counts.GETs + w.counts.Others)
		most = fmt.Sprint(w.counts.Peak)
	}
	return []string{w.waiter, waited, ms(w.CPU), memory(w), requests, most}
}

// memory is an upper bound where it is no more than what the harness had.
func memory(w wait) string {
	bound := ""
	if w.Peak <= w.Floor {
		bound = "<= "
	}
	return bound + fmt.Sprintf("%.1f MiB", float64(w.Peak)/(1<<20))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1000) }
