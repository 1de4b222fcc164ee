// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/imds-ready/imds-ready/internal/words"
)

// Source is where a value was set.
type Source struct {
	// File is the path as it was opened, or the name of an environment
	// variable (Line is 0 then). It is empty for a default and for a preset.
	File string
	// Line is that of the statement that sets the value, from 1, or 0 if there
	// is no line.
	Line int
}

// String returns "FILE:LINE", or "FILE" if there is no line.
func (s Source) String() string {
	if s.Line == 0 {
		return s.File
	}
	return s.File + ":" + strconv.Itoa(s.Line)
}

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	// Source is the place; its Line is 0 for a whole file or a variable.
	Source Source
	// Key is dotted, such as "retry.deadline"; a header in its brackets; the
	// name of a variable; or empty for a whole file and for broken TOML.
	Key string
	// Value is the value as the file has it, on one line and shortened. It is
	// empty if the problem is not about a value.
	Value string
	// Message says what is wrong and what is valid.
	Message string
}

// Error returns one line: FILE:LINE: key = value: what is wrong, the valid
// range.
func (p Problem) Error() string {
	var parts []string
	switch {
	case p.Source == Source{}: // the number of further problems
	case p.Source == Source{File: p.Key}:
		parts = append(parts, "environment")
	default:
		parts = append(parts, p.Source.String())
	}
	switch {
	case p.Value != "":
		parts = append(parts, p.Key+" = "+p.Value)
	case p.Key != "":
		parts = append(parts, p.Key)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// Problems is everything that is wrong, sorted by file and line. It is the
// error of [Load] and has at least one entry. If there are more than 100, the
// entry after the hundredth has only a Message: "and 7 more problems".
type Problems []Problem

// maxProblems bounds what a log and status.json get.
const maxProblems = 100

// Error returns one problem a line, without a final newline.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each [Problem].
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// bounded sorts the problems, keeping the order in which those of one line were
// found, and replaces those after the first 100 by their number.
func (ps Problems) bounded() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Line, b.Source.Line))
	})
	if more := len(ps) - maxProblems; more > 0 {
		ps = append(ps[:maxProblems:maxProblems], Problem{Message: "and " + words.Plural(more, "more problem")})
	}
	return ps
}
