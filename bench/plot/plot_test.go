// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
)

func rows() []lags.Row {
	return []lags.Row{
		{Kind: "refuse", Waiter: "one", P50: 0.2, P90: 0.4, Max: 0.5, Trials: 9},
		{Kind: "refuse", Waiter: "another", P50: 1, P90: 1.5, Max: 2, Trials: 9, GaveUp: 3, Stuck: 1},
		{Kind: "hang", Waiter: "another", Trials: 2, GaveUp: 2},
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "lag.json"), filepath.Join(dir, "lag.svg")
	if err := lags.Save(in, rows()); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-out", out, in}, io.Discard); err != nil {
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
	full, empty := filepath.Join(dir, "full"), filepath.Join(dir, "empty")
	if err := errors.Join(lags.Save(full, rows()), lags.Save(empty, nil)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{full}, "-out names the file"},
		{[]string{"-out", filepath.Join(dir, "x.svg")}, "-out names the file"},
		{[]string{"-x"}, "flag provided but not defined"},
		{[]string{"-out", filepath.Join(dir, "x.svg"), empty}, "nothing to draw"},
		{[]string{"-out", filepath.Join(dir, "x.svg"), "/nonexistent/file"}, "reading the lags: "},
		{[]string{"-out", filepath.Join(dir, "x.odd"), full}, "unsupported format"},
		{[]string{"-out", "/nonexistent/x.svg", full}, "no such file"},
	} {
		if err := run(t.Context(), tc.args, io.Discard); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.args, err, tc.want)
		}
	}
}

// TestBarsDoNotTouch walks over the bars of all waiters from left to right.
func TestBarsDoNotTouch(t *testing.T) {
	const waiters, kinds = 5, 3
	last := -0.5
	for kind := range kinds {
		for place := range waiters {
			from, to := series{place: place, of: waiters}.at(kind)
			if from < last || to <= from || to > float64(kind)+0.5 {
				t.Errorf("kind %d, waiter %d: from %v to %v, after %v", kind, place, from, to, last)
			}
			last = to
		}
	}
}

func TestDataRange(t *testing.T) {
	all := rows()
	xmin, xmax, ymin, ymax := series{rows: []*lags.Row{&all[0], nil}}.DataRange()
	if xmin != -0.5 || xmax != 1.5 || ymin != 0 || ymax != 0.4 {
		t.Errorf("x %v to %v, y %v to %v", xmin, xmax, ymin, ymax)
	}
}
