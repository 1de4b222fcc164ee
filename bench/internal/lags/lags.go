// SPDX-License-Identifier: Apache-2.0

// Package lags sums up how late waiters were, as a row for a table and as JSON
// for the plot.
package lags

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/markdown"
	"github.com/imds-ready/imds-ready/bench/internal/quantile"
)

// Trial is one waiter in one outage.
type Trial struct {
	// Kind is the outage, Waiter who waits.
	Kind, Waiter string
	// Lag is from IMDS up to ready; it means nothing when GaveUp or Stuck.
	Lag time.Duration
	// GaveUp is a waiter that ended without the document, Stuck one that was
	// still at it when nobody waited for it any more.
	GaveUp, Stuck bool
}

// Row is all trials of one waiter in one kind of outage. The quantiles are those
// of the trials that ended well, in seconds.
type Row struct {
	Kind   string  `json:"kind"`
	Waiter string  `json:"waiter"`
	P50    float64 `json:"p50_seconds"`
	P90    float64 `json:"p90_seconds"`
	Max    float64 `json:"max_seconds"`
	Trials int     `json:"trials"`
	GaveUp int     `json:"gave_up"`
	Stuck  int     `json:"stuck"`
}

// Had is how many trials ended well.
func (r Row) Had() int { return r.Trials - r.GaveUp - r.Stuck }

// Met reports whether every trial ended well and a quantile is small enough.
func (r Row) Met(quantile float64, most time.Duration) bool {
	return r.Had() > 0 && r.Had() == r.Trials && quantile <= most.Seconds()
}

// Of sums up the trials of a waiter in a kind of outage.
func Of(trials []Trial, kind, waiter string) Row {
	r := Row{Kind: kind, Waiter: waiter}
	var had []time.Duration
	for _, t := range trials {
		if t.Kind != kind || t.Waiter != waiter {
			continue
		}
		r.Trials++
		switch {
		case t.GaveUp:
			r.GaveUp++
		case t.Stuck:
			r.Stuck++
		default:
			had = append(had, t.Lag)
		}
	}
	if len(had) > 0 {
		r.P50, r.P90, r.Max = quantile.Of(had, 0.5).Seconds(), quantile.Of(had, 0.9).Seconds(), quantile.Of(had, 1).Seconds()
	}
	return r
}

// Table writes rows as Markdown, each time in seconds as show has it.
func Table(w io.Writer, show func(seconds float64) string, all ...Row) error {
	var rows [][]string
	for _, r := range all {
		row := []string{r.Waiter, "-", "-", "-", fmt.Sprintf("%d of %d", r.GaveUp, r.Trials), fmt.Sprint(r.Stuck)}
		if r.Had() > 0 {
			row[1], row[2], row[3] = show(r.P50), show(r.P90), show(r.Max)
		}
		rows = append(rows, row)
	}
	return markdown.Table(w, []string{"lag", "p50", "p90", "max", "gave up", "stuck"}, rows...)
}

// Save writes rows as JSON; no file is named by "".
func Save(file string, rows []Row) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(rows, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the lags: %w", err)
	}
	return nil
}

// Load reads what Save wrote, one file after the other.
func Load(files ...string) ([]Row, error) {
	var all []Row
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the lags: %w", err)
		}
		var rows []Row
		if err := json.Unmarshal(b, &rows); err != nil {
			return nil, fmt.Errorf("reading the lags in %s: %w", file, err)
		}
		all = append(all, rows...)
	}
	return all, nil
}
