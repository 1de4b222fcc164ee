// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/bench/internal/report"
)

func rows() []report.Lags {
	return []report.Lags{
		{Kind: "refuse", Waiter: "one", P50: 0.2, P90: 0.4, Max: 0.5, Trials: 9},
		{Kind: "refuse", Waiter: "another", P50: 1, P90: 1.5, Max: 2, Trials: 9, GaveUp: 3, Stuck: 1},
		{Kind: "hang", Waiter: "another", Trials: 2, GaveUp: 2},
	}
}

func save(t *testing.T, name string, rows []report.Lags) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	b, err := json.Marshal(rows)
	if err := errors.Join(err, os.WriteFile(file, b, 0o644)); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "lag.svg")
	err := run([]string{"-out", out, save(t, "lag.json", rows())})
	b, unread := os.ReadFile(out)
	if err := errors.Join(err, unread); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, new(struct{})); err != nil {
		t.Errorf("not XML: %v", err)
	}
	for _, want := range []string{">one<", ">another<", ">refuse<", ">hang<", ">4 of 9 never ready<", ">2 of 2 never ready<"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in the drawing", want)
		}
	}
	// The bars end at the axis, are as high as their medians, and do not overlap.
	for _, bar := range []string{`x="104.2" y="404.1" width="159.3" height="35.9" fill="#0072b2"`, `x="281.2" y="260.7" width="159.3" height="179.3" fill="#e69f00"`} {
		if !strings.Contains(string(b), bar) {
			t.Errorf("no bar %s in\n%s", bar, b)
		}
	}
}

func TestRunErrors(t *testing.T) {
	full, empty, out := save(t, "full", rows()), save(t, "empty", nil), filepath.Join(t.TempDir(), "x.svg")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"-out", out}, "-out must name the SVG file"},
		{[]string{"-x"}, "flag provided but not defined"},
		{[]string{"-out", out, empty}, "the files have no lags"},
		{[]string{"-out", out, "/nonexistent/file"}, "reading the lags in /nonexistent/file: "},
		{[]string{"-out", "/nonexistent/x.svg", full}, "no such file"},
	} {
		if err := run(tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.args, err, tc.want)
		}
	}
}
