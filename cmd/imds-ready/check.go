// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/readiness"
)

// checkReport is the document of check --json.
type checkReport struct {
	Valid    bool            `json:"valid"`
	Files    []string        `json:"files"`
	Settings []setting       `json:"settings"`
	Required []string        `json:"required"`
	Outages  []outage        `json:"timelines"`
	Warnings []string        `json:"warnings"`
	Problems []configProblem `json:"problems"`

	noticed   string
	ownLimits []string // in words, for the required paths that have limits of their own
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

func (p *program) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "validate the configuration and show the effect of the policy",
		Long: `check validates the configuration, and prints each setting with its origin and
when run would make its attempts if IMDS did not answer. It makes no request.`,
		Args: noArguments,
		Run:  func(*cobra.Command, []string) { p.exit = int(p.check()) },
	}
	p.configFlag(c)
	c.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return c
}

func (p *program) check() readiness.Exit {
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		p.printProblems(err)
		return readiness.ExitConfig
	}
	r := checkReport{Valid: true, Files: loaded.Files, Outages: outages(loaded), Warnings: warnings(loaded), noticed: noticed(loaded)}
	for _, s := range loaded.Settings {
		r.Settings = append(r.Settings, setting{Key: s.Key, Value: s.Value, From: s.Origin})
	}
	for _, required := range loaded.Readiness.Require {
		r.Required = append(r.Required, required.Path)
		if p := loaded.Readiness.Policy; required.Deadline != p.Deadline || required.MaxAttempts != p.MaxAttempts {
			r.ownLimits = append(r.ownLimits, limits(required))
		}
	}
	if p.json {
		p.printReportJSON(r)
	} else {
		p.printReport(r)
	}
	return readiness.ExitOK
}

// printProblems prints what is wrong with the configuration, one problem a line.
func (p *program) printProblems(err error) {
	if !p.json {
		fmt.Fprintln(p.stderr, strings.TrimSpace(err.Error()))
		return
	}
	r := checkReport{}
	problems, _ := errors.AsType[config.Problems](err) // Load returns no other error
	for _, q := range problems {
		r.Problems = append(r.Problems, configProblem{
			File: q.Source.File, Line: q.Source.Line, Key: q.Key, Value: q.Value, Message: q.Message,
		})
	}
	p.printReportJSON(r)
}

// printReportJSON prints nil lists as empty ones, so that readers need not
// expect null.
func (p *program) printReportJSON(r checkReport) {
	r.Files = append([]string{}, r.Files...)
	r.Settings = append([]setting{}, r.Settings...)
	r.Required = append([]string{}, r.Required...)
	r.Outages = append([]outage{}, r.Outages...)
	r.Warnings = append([]string{}, r.Warnings...)
	r.Problems = append([]configProblem{}, r.Problems...)
	p.printJSON(r, "  ")
}

func (p *program) printReport(r checkReport) {
	files := strings.Join(r.Files, ", ")
	if files == "" {
		files = "no file exists, so the defaults apply."
	}
	fmt.Fprintf(p.stdout, "The configuration is valid: %s\n\n", files)
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, s := range r.Settings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, s.Value, s.From)
	}
	t.Flush()
	fmt.Fprintf(p.stdout, "\nRequired before READY=1: %s\n", strings.Join(r.Required, ", "))
	for _, line := range r.ownLimits {
		fmt.Fprintln(p.stdout, "  "+line)
	}
	fmt.Fprintln(p.stdout)
	printOutages(p.stdout, r.Outages)
	fmt.Fprintf(p.stdout, "\n%s\n", r.noticed)
	for _, w := range r.Warnings {
		fmt.Fprintln(p.stderr, "warning:", w)
	}
}

// limits describes when the wait for a required path gives up.
func limits(r readiness.Require) string {
	var ends []string
	if r.Deadline > 0 {
		ends = append(ends, fmt.Sprintf("%v after the start", r.Deadline))
	}
	if r.MaxAttempts > 0 {
		ends = append(ends, "after "+words.Plural(r.MaxAttempts, "attempt"))
	}
	if ends == nil {
		return r.Path + ": never gives up"
	}
	return r.Path + ": gives up " + strings.Join(ends, ", or ")
}
