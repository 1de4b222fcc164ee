// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// checkReport is the document of check --json.
type checkReport struct {
	Valid     bool            `json:"valid"`
	Files     []string        `json:"files"`
	Settings  []setting       `json:"settings"`
	Required  []string        `json:"required"`
	Decisions []decisions     `json:"decisions"`
	Rules     []rule          `json:"rules"`
	Outages   []outage        `json:"timelines"`
	Warnings  []string        `json:"warnings"`
	Problems  []configProblem `json:"problems"`

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
	var all, strict bool
	var class string
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "validate the configuration and show the effect of the policy",
		Long: `check validates the configuration, and prints the settings that a file or a
variable makes, the action for each class of failure, and when run would make
its attempts if IMDS did not answer. It makes no request.

  imds-ready check --explain 404 meta-data/iam/info
shows which rule or which row of the preset decides about a failure, and why
the others do not.`,
		ValidArgsFunction: p.completeCheck,
		RunE: func(c *cobra.Command, args []string) error {
			explains := c.Flags().Changed("explain")
			arg, err := p.checkArgument(args, explains)
			switch {
			case err != nil:
				return err
			case explains && (all || strict):
				return errors.New("check: --explain cannot be combined with --all or --strict")
			case !explains:
				p.exit = int(p.check(all, strict))
				return nil
			}
			if err := checkExplain(class, arg); err != nil {
				return err
			}
			loaded, err := config.Load(config.Options{File: p.config})
			if err != nil {
				p.printProblems(err)
				p.exit = int(readiness.ExitConfig)
				return nil
			}
			return p.explain(loaded, policy.Class(class), arg)
		},
	}
	p.configFlag(c)
	c.Flags().BoolVar(&all, "all", false, "print defaults, too")
	c.Flags().StringVar(&class, "explain", "", "show what decides about a failed attempt of this\n`CLASS`, on the path that is the argument")
	c.Flags().BoolVar(&p.json, "json", false, "print JSON")
	c.Flags().BoolVar(&strict, "strict", false, "fail (78) if there are warnings")
	_ = c.RegisterFlagCompletionFunc("explain", completeClasses) // it fails for an unknown flag only
	return c
}

// checkArgument returns the path of --explain. Without --explain, the argument is the
// file of --config.
func (p *program) checkArgument(args []string, explains bool) (path string, err error) {
	switch {
	case len(args) == 0:
		return "", nil
	case len(args) > 1 && explains:
		return "", errors.New("check: --explain takes one PATH; --config names the file")
	case len(args) > 1:
		return "", fmt.Errorf("check: unexpected argument %q", args[1])
	case explains:
		return args[0], nil
	case p.config != "":
		return "", errors.New("check: FILE and --config name the same thing: use one of them")
	}
	p.config = args[0]
	return "", nil
}

func (p *program) check(all, strict bool) readiness.Exit {
	loaded, err := config.Load(config.Options{File: p.config})
	if err == nil && p.config == "" {
		err = unitProblems(loaded.Files)
	}
	if err != nil {
		p.printProblems(err)
		return readiness.ExitConfig
	}
	r := checkReport{
		Valid: true, Files: loaded.Files, Decisions: tableOfDecisions(loaded), Rules: rules(loaded),
		Outages: outages(loaded), Warnings: warnings(loaded, os.DirFS("/")), noticed: noticed(loaded),
	}
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
		p.printReport(r, all)
	}
	if strict && len(r.Warnings) > 0 {
		if !p.json {
			p.report("--strict: "+words.Plural(len(r.Warnings), "warning"), "")
		}
		return readiness.ExitConfig
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
	r.Decisions = append([]decisions{}, r.Decisions...)
	r.Rules = append([]rule{}, r.Rules...)
	r.Outages = append([]outage{}, r.Outages...)
	r.Warnings = append([]string{}, r.Warnings...)
	r.Problems = append([]configProblem{}, r.Problems...)
	p.printJSON(r, "  ")
}

func (p *program) printReport(r checkReport, all bool) {
	files := strings.Join(r.Files, ", ")
	if files == "" {
		files = "no file exists, so the defaults apply."
	}
	fmt.Fprintf(p.stdout, "The configuration is valid: %s\n\n", files)
	p.printSettings(r.Settings, all)
	fmt.Fprintf(p.stdout, "\nRequired before READY=1: %s\n", strings.Join(r.Required, ", "))
	for _, line := range r.ownLimits {
		fmt.Fprintln(p.stdout, "  "+line)
	}
	fmt.Fprintln(p.stdout)
	printDecisions(p.stdout, r.Decisions, r.Rules)
	fmt.Fprintln(p.stdout)
	printOutages(p.stdout, r.Outages)
	fmt.Fprintf(p.stdout, "\n%s\n", r.noticed)
	for _, w := range r.Warnings {
		fmt.Fprintln(p.stderr, "warning:", w)
	}
}

// printSettings prints the settings, by default those that a file or a variable makes.
func (p *program) printSettings(settings []setting, all bool) {
	if !all {
		settings = slices.DeleteFunc(slices.Clone(settings), func(s setting) bool {
			return s.From == "default" || strings.HasPrefix(s.From, "preset ")
		})
	}
	if len(settings) == 0 {
		fmt.Fprintln(p.stdout, "Every setting has its default (--all prints them).")
		return
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, s := range settings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, s.Value, s.From)
	}
	t.Flush()
	if !all {
		fmt.Fprintln(p.stdout, "Every other setting has its default (--all prints them).")
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
