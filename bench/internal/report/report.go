// SPDX-License-Identifier: Apache-2.0

// Package report is what the benchmarks' reports have in common: the line that
// says how they were made, the table of targets, and where they go.
package report

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/bench/internal/machine"
	"github.com/imds-ready/imds-ready/bench/internal/markdown"
)

// ErrMissed says that a target was missed where that is an error.
var ErrMissed = errors.New("a target was missed (-enforce)")

// Target is a number that is aimed at, and what was measured.
type Target struct {
	Name, Limit, Measured string
	Met                   bool
}

// WriteTargets writes their table, with an empty line before it.
func WriteTargets(w io.Writer, targets []Target) error {
	var rows [][]string
	for _, t := range targets {
		met := "met"
		if !t.Met {
			met = "NOT MET"
		}
		rows = append(rows, []string{t.Name, t.Limit, t.Measured, met})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return markdown.Table(w, []string{"target", "at most", "measured", ""}, rows...)
}

// Head is a report's title and the line that says how it was made.
func Head(title, command string, args []string) string {
	return fmt.Sprintf("# %s\n\n`%s` in bench/, on %s.\n",
		title, strings.Join(append([]string{command}, args...), " "), machine.Describe())
}

// Options are the flags of a benchmark that say where its report goes and what a
// missed target is.
type Options struct {
	file    string
	enforce bool
}

// Flags adds them: -out, and -enforce for a benchmark that has targets.
func (o *Options) Flags(flags *flag.FlagSet, targets bool) {
	flags.StringVar(&o.file, "out", "", "write the Markdown to this file too")
	if targets {
		flags.BoolVar(&o.enforce, "enforce", false, "exit 1 when a target is missed")
	}
}

// Deliver writes a report to stdout and to the file that was asked for. Where
// that is to be an error, a missed target is ErrMissed.
func (o Options) Deliver(stdout io.Writer, write func(io.Writer) error, targets []Target) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	if _, err := stdout.Write(text.Bytes()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if o.file != "" {
		if err := os.WriteFile(o.file, text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if o.enforce && slices.ContainsFunc(targets, func(t Target) bool { return !t.Met }) {
		return ErrMissed
	}
	return nil
}
