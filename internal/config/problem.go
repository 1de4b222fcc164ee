// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Source is where a value was set.
type Source struct {
	// File is the path as it was opened, or the name of an environment
	// variable (Line is 0 then); "": a built-in default or a preset.
	File string
	// Line is that of the statement that sets the value, from 1; 0: none.
	Line int
}

// String returns "FILE:LINE", or what there is of it.
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
	// name of a variable; or "" for a whole file and for broken TOML.
	Key string
	// Value is the value as TOML, shortened; "" where there is none.
	Value string
	// Message says what is wrong and what is legal.
	Message string
}

// Error returns one line: FILE:LINE: key = value: what is wrong, the legal
// range.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Source.Line == 0 && p.Source.File == p.Key {
		b.WriteString("environment")
	} else {
		b.WriteString(p.Source.String())
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	if p.Value != "" {
		b.WriteString(" = " + p.Value)
	}
	return b.String() + ": " + p.Message
}

// Problems is everything that is wrong, sorted by file and line. It is the
// error of [Load] and has at least one entry.
type Problems []Problem

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

// sort keeps the order in which the problems of one line were found.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Line, b.Source.Line))
	})
}
