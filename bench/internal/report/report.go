// SPDX-License-Identifier: Apache-2.0

// Package report is what the benchmarks' reports have in common: the line that
// says how they were made, the table of targets, and where they go.
package report

import (
	"errors"
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

// Missed reports whether a target was.
func Missed(targets []Target) bool {
	return slices.ContainsFunc(targets, func(t Target) bool { return !t.Met })
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

// Deliver writes a report to stdout, and to the file unless it is "".
func Deliver(text string, stdout io.Writer, file string) error {
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if file == "" {
		return nil
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
