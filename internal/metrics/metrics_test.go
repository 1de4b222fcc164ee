// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/snapshot"
)

func TestLabelsAreEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"503":            `x{class="503"} 1`,
		"":               `x{class=""} 1`,
		`a"b`:            `x{class="a\"b"} 1`,
		`a\b`:            `x{class="a\\b"} 1`,
		`a\`:             `x{class="a\\"} 1`,
		"a\nb":           `x{class="a\nb"} 1`,
		"a\"} 7\nx 8\\n": `x{class="a\"} 7\nx 8\\n"} 1`,
		"größe {}=, #":   `x{class="größe {}=, #"} 1`,
	} {
		got := string(exposition([]Metric{{"x", "Help.", counts("class", map[string]int{text: 1})}}))
		if want = "# HELP x Help.\n# TYPE x gauge\n" + want + "\n"; got != want {
			t.Errorf("%q: got\n%swant\n%s", text, got, want)
		}
	}
}

// Each class is one line from which it can be parsed.
func TestLabelsRoundTrip(t *testing.T) {
	unescape := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
	rapid.Check(t, func(t *rapid.T) {
		errors := rapid.MapOf(rapid.StringOf(rapid.SampledFrom([]rune("a\\\"\nn{} 1"))), rapid.IntRange(0, 99)).Draw(t, "errors")
		text := string(exposition(Gate(snapshot.Status{State: snapshot.Failed, Errors: errors})))
		got := map[string]int{}
		for line := range strings.Lines(text) {
			rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), `imds_ready_errors{class="`)
			if !ok {
				continue
			}
			end := strings.LastIndex(rest, `"} `)
			var n int
			if _, err := fmt.Sscanf(rest[end+3:], "%d", &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			got[unescape.Replace(rest[:end])] = n
		}
		if len(got) != len(errors) {
			t.Fatalf("%d series of %d classes:\n%s", len(got), len(errors), text)
		}
		for class, n := range errors {
			if got[class] != n {
				t.Fatalf("%q is %d, want %d:\n%s", class, got[class], n, text)
			}
		}
	})
}

// There is one series for each state, and only that of the gate is 1. The metrics are
// sorted and have help texts.
func TestMetricsOfEachState(t *testing.T) {
	for _, state := range []string{snapshot.Waiting, snapshot.Ready, snapshot.Degraded, snapshot.Skipped, snapshot.Failed} {
		all := Gate(snapshot.Status{State: state})
		if !slices.IsSortedFunc(all, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("not sorted: %v", all)
		}
		for _, m := range all {
			if !strings.HasPrefix(m.Name, "imds_ready_") || !strings.HasSuffix(m.Help, ".") || strings.ContainsAny(m.Help, "\\\n") {
				t.Errorf("%s: %q", m.Name, m.Help)
			}
		}
		text := string(exposition(all))
		if strings.Count(text, "imds_ready_state{") != 5 || strings.Count(text, "\"} 1\n") != 1 ||
			!strings.Contains(text, `imds_ready_state{state="`+state+`"} 1`+"\n") {
			t.Errorf("%s:\n%s", state, text)
		}
		if got := strings.Contains(text, "\nimds_ready_seconds "); got == (state == snapshot.Waiting) {
			t.Errorf("%s has the seconds to the decision: %v", state, got)
		}
	}
}
