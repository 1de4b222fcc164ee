// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// never is the action for a class that cannot occur.
const never policy.Action = ""

// cell is what the policy does about a class in one column of the table of decisions.
type cell struct {
	Action policy.Action `json:"action"` // empty if the class cannot occur
	Rule   int           `json:"rule"`   // the rule that decides, from 1, or 0
}

func (c cell) String() string {
	switch {
	case c.Action == never:
		return "-"
	case c.Rule > 0:
		return fmt.Sprintf("%s [%d]", c.Action, c.Rule)
	}
	return string(c.Action)
}

// decisions is a row of the table of decisions: what happens to some classes.
type decisions struct {
	Required cell     `json:"required"`
	Optional cell     `json:"optional"`
	Token    cell     `json:"token"`
	Classes  []string `json:"classes"` // some with the part of the class or the path that the row is about
}

// same reports whether two rows differ in their classes only.
func (d decisions) same(o decisions) bool {
	return d.Required == o.Required && d.Optional == o.Optional && d.Token == o.Token
}

// rule is a [[retry.rule]] in words.
type rule struct {
	From   string        `json:"from"`
	On     []string      `json:"on"`
	Path   string        `json:"path"`
	Action policy.Action `json:"action"`
}

// rules lists the rules in the order in which they are asked, which is that of the
// settings.
func rules(c *config.Config) []rule {
	var all []rule
	for _, s := range c.Settings {
		if strings.HasPrefix(s.Key, "retry.rule[") && strings.HasSuffix(s.Key, "].on") {
			r := c.Readiness.Policy.Rules[len(all)]
			all = append(all, rule{From: s.Origin, On: r.On, Path: r.Path, Action: r.Action})
		}
	}
	return all
}

// settingOf returns the setting of a key that is in force, or the zero Setting.
func settingOf(c *config.Config, key string) config.Setting {
	if i := slices.IndexFunc(c.Settings, func(s config.Setting) bool { return s.Key == key }); i >= 0 {
		return c.Settings[i]
	}
	return config.Setting{}
}

func (r rule) String() string {
	s := strings.Join(r.On, ", ")
	if r.Path != "" {
		s += " on " + r.Path
	}
	return fmt.Sprintf("%s: %s", s, r.Action)
}

// circumstance is a part of a class about which a policy may decide differently.
type circumstance struct {
	name            string // empty for the ordinary case
	headers, listed bool
}

// circumstances returns the ordinary one first. Only a table of a preset distinguishes
// them.
func circumstances(c policy.Class) []circumstance {
	switch c {
	case policy.ConnectionReset:
		return []circumstance{{}, {name: "after headers", headers: true}}
	case policy.BadResponse:
		return []circumstance{{headers: true}, {name: "not HTTP"}}
	case "404":
		return []circumstance{{headers: true}, {name: "listed", headers: true, listed: true}}
	default:
		return []circumstance{{headers: c.Answered()}}
	}
}

// The kinds of failure in the order of the columns of the table.
const (
	onRequired = iota
	onOptional
	onToken
)

// failure returns a failure of one kind, and false if there is none of the class. An
// empty path is one that no rule names.
func failure(kind int, class policy.Class, path string, c circumstance) (policy.Failure, bool) {
	f := policy.Failure{
		Class: class, Path: path, Required: kind == onRequired, Token: kind == onToken,
		Listed: c.listed && kind == onOptional, Headers: c.headers,
	}
	switch class {
	case policy.Empty, policy.Mismatch:
		return f, kind == onRequired
	case policy.Disabled:
		return f, kind == onToken || kind == onRequired && (path == "" || path == imds.IdentityPath)
	case "403":
		return f, kind != onToken && path != imds.IdentityPath // there it is "disabled"
	}
	return f, true
}

// statuses returns the statuses that the policy names, and one in place of all other
// 4xx and 5xx.
func statuses(p policy.Policy) (named []policy.Class, other4xx, other5xx policy.Class) {
	add := func(on []string) {
		for _, name := range on {
			if name[0] >= '4' && name[0] <= '5' && name[1] != 'x' {
				named = append(named, policy.Class(name))
			}
		}
	}
	add([]string{"401", "404"})
	for _, r := range p.Rules {
		add(r.On)
	}
	for _, r := range p.Table {
		add(r.On)
	}
	slices.Sort(named)
	named = slices.Compact(named)
	unnamed := func(code int) policy.Class {
		for slices.Contains(named, policy.Status(code)) {
			code--
		}
		return policy.Status(code)
	}
	return named, unnamed(499), unnamed(599)
}

// decide asks the policy about a class for each of the kinds of requests.
func decide(p policy.Policy, class policy.Class, path string, kinds []int, at circumstance) (d decisions) {
	cells := []*cell{&d.Required, &d.Optional, &d.Token}
	for _, kind := range kinds {
		if f, ok := failure(kind, class, path, at); ok {
			decision := p.Explain(f)
			*cells[kind] = cell{decision.Action, decision.Rule()}
		}
	}
	return d
}

// tableOfDecisions asks the policy about every class. Rules for some paths count for
// those required paths that they match, which have rows of their own.
func tableOfDecisions(c *config.Config) []decisions {
	p := c.Readiness.Policy
	named, other4xx, other5xx := statuses(p)
	all := slices.Concat(policy.AttemptClasses(), named, []policy.Class{other4xx, other5xx})
	label := func(class policy.Class, note string) string {
		s := string(class)
		if class == other4xx || class == other5xx {
			s = s[:1] + "xx"
			if slices.ContainsFunc(named, func(c policy.Class) bool { return c[0] == class[0] }) {
				s = "other " + s
			}
		}
		if note != "" {
			s += " (" + note + ")"
		}
		return s
	}
	var table []decisions
	add := func(d decisions, name string) {
		i := slices.IndexFunc(table, d.same)
		if i < 0 {
			i, table = len(table), append(table, d)
		}
		table[i].Classes = append(table[i].Classes, name)
	}
	for _, class := range all {
		var ordinary decisions
		for _, at := range circumstances(class) {
			d := decide(p, class, "", []int{onRequired, onOptional, onToken}, at)
			if at.name == "" {
				ordinary = d
				add(d, label(class, ""))
			} else if !d.same(ordinary) {
				add(d, label(class, at.name))
			}
		}
	}
	for _, r := range c.Readiness.Require {
		for _, class := range all {
			kinds := []int{onRequired, onToken}
			at := circumstances(class)[0]
			d, usual := decide(p, class, r.Path, kinds, at), decide(p, class, "", kinds, at)
			if _, ok := failure(onRequired, class, r.Path, at); ok && d.Required != usual.Required {
				add(d, label(class, r.Path))
			}
		}
	}
	order := append([]policy.Action{policy.Wait}, policy.Actions()...)
	slices.SortStableFunc(table, func(a, b decisions) int {
		rank := func(d decisions) int {
			return slices.Index(order, cmp.Or(d.Required.Action, d.Optional.Action, d.Token.Action))
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return table
}

// classesWidth is how many characters of classes fit on a line of 80 beside the other
// columns.
const classesWidth = 42

// printDecisions prints the table, with long lists of classes on several lines, and the
// rules that its numbers refer to.
func printDecisions(w io.Writer, table []decisions, rules []rule) {
	fmt.Fprintln(w, "Action after a failed attempt, by its class (--explain CLASS PATH says why):")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REQUIRED\tOPTIONAL\tTOKEN\tCLASSES")
	for _, d := range table {
		first := fmt.Sprintf("%v\t%v\t%v", d.Required, d.Optional, d.Token)
		for _, line := range wrap(d.Classes, classesWidth) {
			fmt.Fprintf(t, "%s\t%s\n", first, line)
			first = "\t\t"
		}
	}
	t.Flush()
	if len(rules) == 0 {
		return
	}
	fmt.Fprintln(w, "\nRules, of which the first that matches decides:")
	for i, r := range rules {
		fmt.Fprintf(w, "  [%d] %s: %v\n", i+1, r.From, r)
	}
}

// wrap joins names with commas into lines of about the given length.
func wrap(names []string, length int) []string {
	var lines []string
	line := ""
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		if line != "" && len(line)+1+len(name) > length {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += name
	}
	return append(lines, line)
}

// explanation is the document of check --explain --json.
type explanation struct {
	Class    policy.Class `json:"class"`
	Path     string       `json:"path"`
	Required bool         `json:"required"`
	Cases    []decided    `json:"cases"`
}

// decided is one decision, and everything that was asked for it.
type decided struct {
	When       string        `json:"when"` // empty if the class always gets this decision
	Action     policy.Action `json:"action"`
	Candidates []candidate   `json:"candidates"`
}

// candidate is a rule, the toggle, or a row of the preset.
type candidate struct {
	Name   string `json:"name"`
	From   string `json:"from"` // the file and the line, for a rule
	Says   string `json:"says"`
	Result string `json:"result"` // "decides", or why not
}

const decides = "decides"

// checkExplain checks the arguments of --explain.
func checkExplain(class, path string) error {
	if class == "4xx" || class == "5xx" {
		return fmt.Errorf("invalid --explain %s: must be the class of one attempt: write a status, such as %c04", class, class[0])
	}
	if err := config.CheckClass(class); err != nil {
		return fmt.Errorf("invalid --explain: %w", err)
	}
	if path == "" {
		return nil
	}
	if err := config.CheckPath(path); err != nil {
		_, ok := failure(onToken, policy.Class(class), "", circumstance{})
		if ok && (path == "token" || strings.HasSuffix(path, "api/token")) {
			return fmt.Errorf("invalid PATH %q: for the token request, leave out PATH", path)
		}
		return fmt.Errorf("the path %w", err)
	}
	return nil
}

// explain prints which rule or which row of the preset decides about a class.
func (p *program) explain(c *config.Config, class policy.Class, path string) error {
	if class == "403" && path == imds.IdentityPath {
		class = policy.Disabled
	}
	e := explanation{Class: class, Path: path}
	e.Required = slices.ContainsFunc(c.Readiness.Require, func(r readiness.Require) bool { return r.Path == path })
	e.Cases = explain(c, e)
	if e.Cases == nil {
		return fmt.Errorf("%s is never the class of %s, which is optional: only a required path can have it; see [[require]]", class, path)
	}
	if p.json {
		p.printJSON(e, "  ")
		return nil
	}
	head := string(class)
	switch {
	case e.Required:
		head += " on " + path + ", which is required"
	case path != "":
		head += " on " + path + ", which is optional"
	}
	for i, d := range e.Cases {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		when := ""
		if d.When != "" {
			when = ", " + d.When
		}
		fmt.Fprintf(p.stdout, "%s%s: %s\n", head, when, d.Action)
		t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		for _, candidate := range d.Candidates {
			name := candidate.Name
			if candidate.From != "" {
				name += " (" + candidate.From + ")"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\n", candidate.Result, name, candidate.Says)
		}
		t.Flush()
	}
	return nil
}

// explain asks the policy about every failure that the class and the path can stand
// for, and joins those with the same answer.
func explain(c *config.Config, e explanation) []decided {
	kinds := []int{onRequired, onOptional, onToken}
	whens := []string{"on a required path", "on an optional path", "for a token request"}
	noListing, aListing := "on an optional path that no listing names", "on an optional path that a listing names"
	if e.Path != "" {
		kinds = []int{onOptional, onToken}
		if e.Required {
			kinds[0] = onRequired
		}
		whens = []string{"for the path itself", "for the path itself", "for its token request"}
		noListing, aListing = "if no listing names it", "if a listing names it"
	}
	var cases []decided
	complete := e.Path != ""
	for _, kind := range kinds {
		for _, at := range circumstances(e.Class) {
			f, ok := failure(kind, e.Class, e.Path, at)
			complete = complete && ok
			if !ok || at.listed && kind != onOptional {
				continue
			}
			when := whens[kind]
			switch {
			case at.listed:
				when = aListing
			case e.Class == "404" && kind == onOptional:
				when = noListing
			case at.name != "":
				when += " (" + at.name + ")"
			}
			d := decided{When: when, Action: c.Readiness.Policy.Explain(f).Action, Candidates: candidates(c, f)}
			i := slices.IndexFunc(cases, func(o decided) bool { return o.Action == d.Action && slices.Equal(o.Candidates, d.Candidates) })
			if i >= 0 {
				cases[i].When += " or " + when
			} else {
				cases = append(cases, d)
			}
		}
	}
	if len(cases) == 1 && complete {
		cases[0].When = ""
	}
	return cases
}

// candidates lists what the policy asks about a failure, in order, and what each
// answers.
func candidates(c *config.Config, f policy.Failure) []candidate {
	p := c.Readiness.Policy
	decision := p.Explain(f)
	preset := "preset " + strings.Trim(settingOf(c, "retry.preset").Value, `"`)
	result := func(source policy.Source, number int, m policy.Match) string {
		switch {
		case decision.Source == source && decision.Number == number:
			return decides
		case m == policy.Matches:
			return "comes too late"
		}
		return string(m)
	}
	var all []candidate
	for i, r := range rules(c) {
		all = append(all, candidate{
			Name: fmt.Sprintf("retry.rule[%d]", i+1), From: r.From, Says: r.String(),
			Result: result(policy.FromRule, i+1, p.Rules[i].Match(f)),
		})
	}
	if !p.RetryConnectTimeouts {
		match := policy.Matches
		if f.Class.Answered() {
			match = policy.OtherClass
		}
		all = append(all, candidate{
			Name: "retry.retry_connect_timeouts", From: settingOf(c, "retry.retry_connect_timeouts").Origin,
			Says: "false: every class without an answer: fail", Result: result(policy.FromToggle, 0, match),
		})
	}
	for i, r := range p.Table {
		says := rule{On: r.On, Action: r.Action}
		all = append(all, candidate{
			Name: fmt.Sprintf("%s, row %d", preset, i+1), Says: says.String() + condition(r.When),
			Result: result(policy.FromTable, i+1, r.Match(p, f)),
		})
	}
	if decision.Source == policy.FromNothing {
		all = append(all, candidate{Name: preset, Says: "any other class: fail", Result: decides})
	}
	return all
}

// condition describes when a row of the preset applies.
func condition(when policy.Condition) string {
	switch when {
	case policy.UnlistedGET:
		return " (not of the token; the path is optional, and no listing names it)"
	case policy.NoHeaders:
		return " (before the headers of an answer)"
	case policy.Toggled:
		return " (not HTTP, with retry_connect_timeouts = true)"
	default:
		return ""
	}
}

// completeClasses completes the value of --explain.
func completeClasses(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, info := range policy.Classes() {
		if info.Attempt && policy.CheckOn(string(info.Class)) == nil {
			all = append(all, cobra.CompletionWithDesc(string(info.Class), info.Meaning))
		}
	}
	for _, status := range []string{"403", "429", "500", "503"} {
		all = append(all, cobra.CompletionWithDesc(status, "the HTTP status"))
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeCheck completes the argument of check: a file, or with --explain a required
// path.
func (p *program) completeCheck(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch {
	case len(args) > 0:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case !c.Flags().Changed("explain"):
		return nil, cobra.ShellCompDirectiveDefault
	}
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var paths []cobra.Completion
	for _, r := range loaded.Readiness.Require {
		paths = append(paths, r.Path)
	}
	return paths, cobra.ShellCompDirectiveNoFileComp
}
