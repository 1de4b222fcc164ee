// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everything are files that contain every metric. Tests of the packages compare them with
// the output of the daemon and of watch.
var everything = []string{"../../readiness/testdata/imds_ready.prom", "../../internal/watch/testdata/imds_ready_watch.prom"}

func example(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "doc", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names matches the metrics in a query, and labels its label matchers.
var (
	names  = regexp.MustCompile(`\b(?:imds|node)_[a-z0-9_]+`)
	labels = regexp.MustCompile(`([a-z]+) ?=~?"([^"]*)"`)
)

// checkQuery checks that the programs write the metrics and labels of a query, and
// returns its metrics. The metrics in others are allowed as well.
func checkQuery(t *testing.T, query string, others ...string) (metrics []string) {
	t.Helper()
	written := ""
	for _, file := range everything {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		written += string(data)
	}
	for _, name := range names.FindAllString(query, -1) {
		metrics = append(metrics, name)
		if !slices.Contains(others, name) && !strings.Contains(written, "# TYPE "+name+" gauge\n") {
			t.Errorf("%s is not written: %s", name, query)
		}
	}
	for _, m := range labels.FindAllStringSubmatch(query, -1) {
		switch m[1] {
		case "instance": // Prometheus adds this label
		case "state":
			if !strings.Contains(written, `state="`+m[2]+`"}`) {
				t.Errorf("unknown state %s: %s", m[2], query)
			}
		default:
			t.Errorf("unknown label %s: %s", m[1], query)
		}
	}
	return metrics
}

func TestDashboard(t *testing.T) {
	var d struct {
		Panels []struct {
			ID                       int
			Type, Title, Description string
			GridPos                  struct{ H, W, X, Y int }
			Targets                  []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(example(t, "grafana-dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	panelAt := map[[2]int]string{}
	var shown []string
	for _, p := range d.Panels {
		if seen[p.ID] || p.Type == "" || p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d is repeated or incomplete: %+v", p.ID, p)
		}
		seen[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if panelAt[at] != "" || at[0] >= 24 {
					t.Fatalf("%s overlaps %q or is outside the grid at %v", p.Title, panelAt[at], at)
				}
				panelAt[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			shown = append(shown, checkQuery(t, target.Expr)...)
		}
	}
	for _, name := range []string{
		"imds_ready_state", "imds_ready_seconds", "imds_ready_errors", "imds_ready_missing",
		"imds_ready_watch_answer_time_seconds", "imds_ready_watch_failing", "imds_ready_watch_present",
	} {
		if !slices.Contains(shown, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// TestAlerts checks the names in the rules, and that a comment gives the reason for
// each rule. promtool checks the rules themselves.
func TestAlerts(t *testing.T) {
	rules, comment, reasons := 0, "", 0
	for line := range strings.Lines(example(t, "alerts.yml")) {
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "#"):
			comment += text
		case strings.HasPrefix(text, "- alert: "):
			rules++
			if strings.HasPrefix(comment, "# Reason: ") {
				reasons++
			}
			comment = ""
		default:
			comment = ""
			checkQuery(t, text, "node_boot_time_seconds", "imds_ready_stale_time_seconds") // not after a good boot
		}
	}
	if rules != 5 || reasons != 5 {
		t.Errorf("%d rules, %d reasons, want five of each", rules, reasons)
	}
}
