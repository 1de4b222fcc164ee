// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/markdown"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/program"
	"github.com/imds-ready/imds-ready/bench/internal/quantile"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

const mib = 1 << 20 // bytes

// The targets, for the default tree at 300 microseconds.
const (
	maxRatio = 0.50     // of the SDK's time one by one
	maxPeak  = 16 * mib // memory
	maxSize  = 8 * mib  // of the program
)

// outcome is what the scenes came to.
type outcome struct {
	head, sdk string
	options   options
	played    []*played
}

// targets are those of the scenes that were played: the ratio is of the
// standard one alone.
func (o *outcome) targets() []report.Target {
	var all []report.Target
	var worst int64
	for _, p := range o.played {
		for _, c := range p.all {
			if c.path == p.daemon().path {
				worst = max(worst, quantile.Of(values(c, peakOf), 1))
			}
		}
		if p.scene == standard() {
			ratio := quantile.Of(p.ratios(p.daemon()), 0.5)
			all = append(all, report.Target{
				Name:  "start to ready, of the SDK's time one by one",
				Limit: percent(maxRatio), Measured: percent(ratio), Met: ratio <= maxRatio,
			})
		}
	}
	binary := o.played[0].daemon().size
	return append(all, report.Target{
		Name:  "peak memory, the worst run",
		Limit: size(maxPeak), Measured: size(worst), Met: worst <= maxPeak,
	}, report.Target{
		Name:  "stripped binary",
		Limit: size(maxSize), Measured: size(binary), Met: binary <= maxSize,
	})
}

// ratios are a contestant's times over those of the SDK one by one, round by
// round.
func (p *played) ratios(c *contestant) []float64 {
	base := p.oneByOne()
	return quantile.Ratios(values(c, c.done), values(base, base.done))
}

func (o *outcome) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s
The simulator runs on the same machine and holds each answer back by the time in the title. imds-ready counts
to READY=1, the crawlers with aws-sdk-go-v2/feature/ec2/imds %s to their exit.
%d rounds after %d to warm up; each runs every program once. A ratio is of the times in one round, and the one
below their median. All are built with %s.
`, o.head, o.sdk, o.options.rounds, o.options.warmup, program.How)
	if err != nil {
		return err
	}
	for _, p := range o.played {
		if err := p.write(w); err != nil {
			return err
		}
	}
	return report.WriteTargets(w, o.targets())
}

func (p *played) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n## %s (%v measured)\n\n", p.scene, sim.Round(p.measured)); err != nil {
		return err
	}
	header := []string{"", "median", "p90", "ratio", "to exit", "CPU", "peak memory", "PUT + GET", "notifications", "binary"}
	var rows [][]string
	for _, c := range p.all {
		rows = append(rows, p.row(c))
	}
	return markdown.Table(w, header, rows...)
}

func (p *played) row(c *contestant) []string {
	done := values(c, c.done)
	return []string{
		c.name,
		ms(quantile.Of(done, 0.5)),
		ms(quantile.Of(done, 0.9)),
		fmt.Sprintf("%.2f", quantile.Of(p.ratios(c), 0.5)),
		ms(quantile.Of(values(c, func(r process.Result) time.Duration { return r.Exit }), 0.5)),
		ms(quantile.Of(values(c, func(r process.Result) time.Duration { return r.CPU }), 0.5)),
		peak(c),
		fmt.Sprintf("%d + %d", c.counts.PUTs, c.counts.GETs),
		fmt.Sprint(c.results[0].Notifications),
		size(c.size),
	}
}

// peak is the worst run's. Where it is no more than what the harness itself had,
// and handed down, it is an upper bound.
func peak(c *contestant) string {
	worst, bound := int64(0), ""
	for _, r := range c.results {
		if r.Peak > worst {
			worst, bound = r.Peak, ""
			if r.Peak <= r.Floor {
				bound = "<= "
			}
		}
	}
	return bound + size(worst)
}

func peakOf(r process.Result) int64 { return r.Peak }

// values takes one figure out of every run.
func values[N quantile.Number](c *contestant, of func(process.Result) N) []N {
	var all []N
	for _, r := range c.results {
		all = append(all, of(r))
	}
	return all
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func size(n int64) string { return fmt.Sprintf("%.2f MiB", float64(n)/mib) }

func percent(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }
