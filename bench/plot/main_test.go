// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
	if err := run([]string{"-out", out, save(t, "lag.json", rows())}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
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
	// The bars are above the axis, as high as their medians, and do not overlap.
	bars := regexp.MustCompile(`<rect x="([0-9.]+)" y="([0-9.]+)" width="([0-9.]+)" height="([0-9.]+)" fill="#`).FindAllStringSubmatch(string(b), -1)
	bars = bars[2:] // after the legend
	number := func(bar, field int) float64 {
		n, _ := strconv.ParseFloat(bars[bar][field], 64)
		return n
	}
	if len(bars) != 2 || number(0, 1)+number(0, 3) > number(1, 1) || math.Abs(number(1, 4)/number(0, 4)-5) > 0.05 || number(1, 2)+number(1, 4) != bottom {
		t.Errorf("bars %q", bars)
	}
}

func TestRunErrors(t *testing.T) {
	full, empty, out := save(t, "full", rows()), save(t, "empty", nil), filepath.Join(t.TempDir(), "x.svg")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{full}, "usage: "},
		{[]string{"-out", out}, "usage: "},
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
