// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// absence is a way in which IMDS is not there.
type absence struct {
	name, schedule string
	changes        int // addresses that come and go meanwhile
	contestants    []contestant
}

const refused = "refused"

func absences() []absence {
	own := configured(daemon, endpoint)
	dialer := contestant{Name: "sleeping and dialling alone", Path: "dialer", Args: []string{"-address", "{host}"}}
	return []absence{
		{refused, "refuse", 0, []contestant{own, patientSDK, defaultSDK, curl, dialer}},
		{"503", "503", 0, []contestant{own, patientSDK, defaultSDK, curl}},
		// The others do not watch the network.
		{"refused, while the network changes", "refuse", 10_000, []contestant{own}},
	}
}

// Waiting measures what it costs to wait.
func Waiting(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	howLong := flags.Duration("for", time.Minute, "the time to wait")
	return func(ctx context.Context, r *report.Report) error {
		if *howLong <= 0 {
			return errors.New("-for must be positive")
		}
		var trials []trial
		for _, a := range absences() {
			for _, c := range a.contestants {
				trials = append(trials, trial{
					Scene: a.name, Contestants: []contestant{c}, Simulator: []string{"-schedule", a.schedule}, Limit: *howLong,
					Network: network{Watch: "lo", Changes: a.changes},
				})
			}
		}
		all, _, err := measure(ctx, len(trials), trials)
		if err != nil {
			return err
		}
		reportWaiting(r, all, *howLong)
		return nil
	}
}

func reportWaiting(r *report.Report, all measurements, howLong time.Duration) {
	const perMinute, maxRate = 100 * time.Millisecond, 40
	r.Printf(`IMDS does not come up for %v. All programs wait at the same time, each with a simulator in a network namespace of its
own. CPU time and memory are the kernel's accounts of the whole process with its children, including its start.
Packets are those on lo, from both sides; connections are attempts, refused or not.
`, howLong)
	waited := func(own measurements) string {
		if own[0].Stuck {
			return fmt.Sprintf("%.1f s", own[0].Exit.Seconds())
		}
		return fmt.Sprintf("gave up after %.1f s", own[0].Exit.Seconds())
	}
	for _, a := range absences() {
		r.Printf("\n## %s", a.name)
		if a.changes > 0 {
			r.Printf(": an address comes and one goes, %d times", a.changes)
		}
		r.Printf("\n\n")
		scene := all.in(a.name)
		scene.table(
			r, "", column{"waited", waited}, at("CPU", 1, cpu, ms), column{"peak memory", memory},
			at("packets", 1, packetCount, count), at("connections", 1, func(m measurement) int { return m.SYNs }, count),
			at("most in a second", 1, func(m measurement) int { return m.SYNPeak }, count),
		)
		for _, m := range scene.of(daemon) {
			if a.name == refused {
				limit := time.Duration(float64(perMinute) * howLong.Minutes())
				r.Target(fmt.Sprintf("CPU time in %v, refused", howLong), ms(limit), ms(m.CPU), m.CPU <= limit && m.Stuck)
			}
			met := m.SYNPeak > 0 && m.SYNPeak <= maxRate && m.Stuck
			r.Target("connections in any one second, "+a.name, count(maxRate), count(m.SYNPeak), met)
		}
	}
}
