// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/markdown"
	"github.com/imds-ready/imds-ready/bench/internal/quantile"
	"github.com/imds-ready/imds-ready/policy"
)

// contestant is a policy by name.
type contestant struct {
	name   string
	policy policy.Policy
}

// contestants are the presets, and the preset sdk as operators bend it.
func contestants() []contestant {
	boot, _ := policy.Preset(policy.PresetBoot)
	sdk, _ := policy.Preset(policy.PresetSDK)
	lazy := boot
	lazy.Eager = false
	toggled := sdk
	toggled.RetryConnectTimeouts = true
	patient := toggled
	patient.MaxAttempts, patient.Deadline, patient.Backoff.Max = 60, 0, time.Second
	return []contestant{
		{"boot", boot},
		{"boot, eager = false", lazy},
		{"sdk", sdk},
		{"sdk, retry_connect_timeouts", toggled},
		{"the same, 60 attempts, 1 s cap, no deadline", patient},
	}
}

// outcome is what the boots came to.
type outcome struct {
	head    string
	outages []outage
	names   []string
	endings map[string][]ending // by contestant
}

// add plays every boot under a policy.
func (o *outcome) add(c contestant) {
	if o.endings == nil {
		o.endings = map[string][]ending{}
	}
	o.names = append(o.names, c.name)
	for _, outage := range o.outages {
		o.endings[c.name] = append(o.endings[c.name], boot(c.policy, outage))
	}
}

func (o *outcome) write(w io.Writer) error {
	var lengths []time.Duration
	for _, outage := range o.outages {
		lengths = append(lengths, outage.up())
	}
	_, err := fmt.Fprintf(w, `%s
Every policy meets the same outages. Their length is log-normal, median %.1f s, sigma %.1f; drawn: p50 %s, p90 %s,
p99 %s, max %s. Their kinds are an assumption, in the shares below. An answer takes %v.
The lag is of those that do not give up: where many do, it is that of the short outages.

`, o.head, medianSeconds, sigma, seconds(quantile.Of(lengths, 0.5)), seconds(quantile.Of(lengths, 0.9)),
		seconds(quantile.Of(lengths, 0.99)), seconds(quantile.Of(lengths, 1)), roundTrip)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, name := range o.names {
		rows = append(rows, o.row(name))
	}
	header := []string{"policy", "lag p50", "p90", "p99", "max", "requests per boot", "p99", "give-ups per 1000"}
	if err := markdown.Table(w, header, rows...); err != nil {
		return err
	}
	if _, err := fmt.Fprint(w, "\nGive-ups per thousand boots of each kind, and lag p50 of the others:\n\n"); err != nil {
		return err
	}
	return o.writeKinds(w)
}

func (o *outcome) row(name string) []string {
	s := summarize(o.endings[name])
	row := []string{name}
	for _, q := range []float64{0.5, 0.9, 0.99, 1} {
		row = append(row, s.lag(q))
	}
	return append(row, fmt.Sprintf("%.1f", s.meanRequests()),
		fmt.Sprintf("%.0f", quantile.Of(s.requests, 0.99)), s.giveUps())
}

func (o *outcome) writeKinds(w io.Writer) error {
	header := append([]string{"kind", "share"}, o.names...)
	var rows [][]string
	for _, k := range kinds() {
		row := []string{k.name, fmt.Sprintf("%.0f %%", 100*k.share)}
		for _, name := range o.names {
			var these []ending
			for _, e := range o.endings[name] {
				if e.kind == k.name {
					these = append(these, e)
				}
			}
			s := summarize(these)
			row = append(row, s.giveUps()+", "+s.lag(0.5))
		}
		rows = append(rows, row)
	}
	return markdown.Table(w, header, rows...)
}

// summary is some boots taken together.
type summary struct {
	boots    int
	lags     []time.Duration // of those that had the document
	requests []float64       // of all
}

func summarize(endings []ending) summary {
	s := summary{boots: len(endings)}
	for _, e := range endings {
		s.requests = append(s.requests, float64(e.requests))
		if !e.gaveUp {
			s.lags = append(s.lags, e.lag)
		}
	}
	return s
}

// lag is a quantile of the lags; "-" when every boot gave up.
func (s summary) lag(q float64) string {
	if len(s.lags) == 0 {
		return "-"
	}
	return seconds(quantile.Of(s.lags, q))
}

// giveUps is how many of a thousand boots gave up.
func (s summary) giveUps() string {
	if s.boots == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", 1000*float64(s.boots-len(s.lags))/float64(s.boots))
}

func (s summary) meanRequests() float64 {
	sum := 0.0
	for _, n := range s.requests {
		sum += n
	}
	return sum / float64(max(1, len(s.requests)))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
