// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/readiness"
)

// checked is check --json.
type checked struct {
	Valid    bool            `json:"valid"`
	Files    []string        `json:"files"`
	Settings []setting       `json:"settings"`
	Required []string        `json:"required"`
	Modes    []mode          `json:"timelines"`
	Warnings []string        `json:"warnings"`
	Problems []configProblem `json:"problems"`

	patience []string // of the paths that have their own
}

type setting struct {
	Key   string `json:"key"`
	Value string `json:"value"` // as TOML
	From  string `json:"from"`
}

type configProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Key     string `json:"key"`
	Value   string `json:"value"`
	Message string `json:"message"`
}

// check reads the configuration as run would and makes no request.
func (p *program) check() (readiness.Exit, error) {
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		return readiness.ExitConfig, p.printProblems(err)
	}
	c := checked{Valid: true, Files: loaded.Files, Modes: modes(loaded), Warnings: warnings(loaded)}
	for _, s := range loaded.Settings {
		c.Settings = append(c.Settings, setting{Key: s.Key, Value: s.Value, From: s.Origin})
	}
	for _, r := range loaded.Readiness.Require {
		c.Required = append(c.Required, r.Path)
		if p := loaded.Readiness.Policy; r.Deadline != p.Deadline || r.MaxAttempts != p.MaxAttempts {
			c.patience = append(c.patience, ownPatience(r))
		}
	}
	if p.json {
		return readiness.ExitOK, p.printJSON(c)
	}
	p.printChecked(c)
	return readiness.ExitOK, nil
}

// printProblems prints what is wrong, one problem a line.
func (p *program) printProblems(err error) error {
	if !p.json {
		fmt.Fprintln(p.stderr, strings.TrimSpace(err.Error()))
		return nil
	}
	c := checked{}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, q := range problems {
			c.Problems = append(c.Problems, configProblem{
				File: q.Source.File, Line: q.Source.Line, Key: q.Key, Value: q.Value, Message: q.Message,
			})
		}
	} else {
		c.Problems = []configProblem{{Message: err.Error()}}
	}
	return p.printJSON(c)
}

// printJSON prints null lists as empty ones: a reader need not ask.
func (p *program) printJSON(c checked) error {
	c.Files = append([]string{}, c.Files...)
	c.Settings = append([]setting{}, c.Settings...)
	c.Required = append([]string{}, c.Required...)
	c.Modes = append([]mode{}, c.Modes...)
	c.Warnings = append([]string{}, c.Warnings...)
	c.Problems = append([]configProblem{}, c.Problems...)
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(c)
}

func (p *program) printChecked(c checked) {
	if len(c.Files) == 0 {
		fmt.Fprintln(p.stdout, "The configuration is valid: there is no file, so the defaults apply.")
	} else {
		fmt.Fprintf(p.stdout, "The configuration is valid: %s\n", strings.Join(c.Files, ", "))
	}
	fmt.Fprintln(p.stdout)
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, s := range c.Settings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, s.Value, s.From)
	}
	t.Flush()
	fmt.Fprintf(p.stdout, "\nRequired before READY=1: %s\n", strings.Join(c.Required, ", "))
	for _, line := range c.patience {
		fmt.Fprintln(p.stdout, "  "+line)
	}
	fmt.Fprintln(p.stdout)
	printModes(p.stdout, c.Modes)
	for _, w := range c.Warnings {
		fmt.Fprintln(p.stderr, "warning:", w)
	}
}

// ownPatience says how long a path is waited for, in words.
func ownPatience(r readiness.Require) string {
	var ends []string
	if r.Deadline > 0 {
		ends = append(ends, fmt.Sprintf("%v after the start", r.Deadline))
	}
	if r.MaxAttempts > 0 {
		ends = append(ends, "after "+plural(r.MaxAttempts, "attempt"))
	}
	if ends == nil {
		return r.Path + ": never gives up"
	}
	return r.Path + ": gives up " + strings.Join(ends, ", or ")
}
