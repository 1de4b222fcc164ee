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
	maxRate = 40                     // attempts in any one second
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
		if w.Waiter != waiters.Daemon {
			continue
		}
		if w.Kind == refused {
			all = append(all, report.Target{
				Name:  fmt.Sprintf("CPU time in %v, refused", o.howLong),
				Limit: ms(o.cpuLimit()), Measured: ms(w.CPU), Met: w.CPU <= o.cpuLimit() && !w.Ended,
			})
		}
		all = append(all, report.Target{
			Name:  "connections in any one second, " + w.Kind,
			Limit: fmt.Sprint(maxRate), Measured: fmt.Sprint(w.Busiest), Met: w.Busiest > 0 && w.Busiest <= maxRate && !w.Ended,
		})
	}
	return all
}

func (o outcome) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, `%s
%v in which IMDS does not come up, all waiters at the same time, each with a simulator in a network namespace of its
own. The CPU time and the memory are the kernel's accounts of the whole process, children included, its start too.
Packets are those on lo, of both sides; a connection is one that was asked for, refused or not.
`, o.head, o.howLong); err != nil {
		return err
	}
	for _, kind := range kinds() {
		var rows [][]string
		for _, x := range o.waits {
			if x.Kind == kind.name {
				rows = append(rows, row(x))
			}
		}
		if _, err := fmt.Fprintf(w, "\n## %s\n\n", kind.title()); err != nil {
			return err
		}
		header := []string{"", "waited", "CPU", "peak memory", "packets", "connections", "most in a second"}
		if err := markdown.Table(w, header, rows...); err != nil {
			return err
		}
	}
	return report.WriteTargets(w, o.targets())
}

func (k kind) title() string {
	if k.flood == 0 {
		return k.name
	}
	return fmt.Sprintf("%s: an address comes and one goes, %d times", k.name, k.flood)
}

func row(w wait) []string {
	waited := fmt.Sprintf("%.1f s", w.Exit.Seconds())
	if w.Ended {
		waited = "gave up after " + waited
	}
	return []string{w.Waiter, waited, ms(w.CPU), memory(w), fmt.Sprint(w.Packets), fmt.Sprint(w.Tried), fmt.Sprint(w.Busiest)}
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
