// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
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

func save(t *testing.T, file string, rows []report.Lags) {
	t.Helper()
	b, err := json.Marshal(rows)
	if err == nil {
		err = os.WriteFile(file, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "lag.json"), filepath.Join(dir, "lag.svg")
	save(t, in, rows())
	if err := run([]string{"-out", out, in}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
	for _, want := range []string{">one<", ">another<", ">refuse<", ">hang<", ">4 of 9 never ready<", ">2 of 2 never ready<", "Arial,sans-serif"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in the drawing", want)
		}
	}
}

func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	full, empty, out := filepath.Join(dir, "full"), filepath.Join(dir, "empty"), filepath.Join(dir, "x.svg")
	save(t, full, rows())
	save(t, empty, nil)
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
