// SPDX-License-Identifier: Apache-2.0

// Command exprs prints the queries of a Grafana dashboard as a file of recording
// rules, for promtool to check:
//
//	exprs DASHBOARD.json > rules.yml && promtool check rules rules.yml
//
// Grafana replaces the variables in a query. Here the variable $instance is replaced
// by a pattern that matches every instance. The output is JSON, which is also YAML.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: exprs DASHBOARD.json")
		return 64
	}
	data, err := os.ReadFile(args[0])
	if err == nil {
		err = convert(data, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "exprs: %v\n", err)
		return 1
	}
	return 0
}

// dashboard is the part of Grafana's format that this command uses.
type dashboard struct {
	Panels []struct {
		ID      int
		Targets []struct{ Expr, RefID string }
	}
}

type rule struct {
	Record string `json:"record"`
	Expr   string `json:"expr"`
}

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

// convert writes the queries of a dashboard as rules.
func convert(data []byte, w io.Writer) error {
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("reading the dashboard: %w", err)
	}
	g := group{Name: "dashboard"}
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			expr := strings.ReplaceAll(t.Expr, "$instance", ".*")
			if strings.Contains(expr, "$") || expr == "" {
				return fmt.Errorf("panel %d, query %s: %q: must be a query without variables other than $instance", p.ID, t.RefID, t.Expr)
			}
			g.Rules = append(g.Rules, rule{fmt.Sprintf("dashboard:panel%d:%s", p.ID, strings.ToLower(t.RefID)), expr})
		}
	}
	if len(g.Rules) == 0 {
		return errors.New("reading the dashboard: it has no queries")
	}
	return json.NewEncoder(w).Encode(map[string][]group{"groups": {g}})
}
