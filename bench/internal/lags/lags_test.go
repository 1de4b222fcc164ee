// SPDX-License-Identifier: Apache-2.0

package lags

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func trials() []Trial {
	return []Trial{
		{Kind: "503", Waiter: "a", Lag: time.Second},
		{Kind: "503", Waiter: "a", Lag: 3 * time.Second},
		{Kind: "503", Waiter: "a", Lag: time.Hour, GaveUp: true},
		{Kind: "503", Waiter: "a", Lag: time.Hour, Stuck: true},
		{Kind: "503", Waiter: "b", GaveUp: true},
		{Kind: "hang", Waiter: "a", Lag: time.Minute},
	}
}

func TestOf(t *testing.T) {
	for _, tc := range []struct {
		kind, waiter string
		want         Row
		had          int
	}{
		{"503", "a", Row{Kind: "503", Waiter: "a", P50: 2, P90: 2.8, Max: 3, Trials: 4, GaveUp: 1, Stuck: 1}, 2},
		{"503", "b", Row{Kind: "503", Waiter: "b", Trials: 1, GaveUp: 1}, 0},
		{"hang", "a", Row{Kind: "hang", Waiter: "a", P50: 60, P90: 60, Max: 60, Trials: 1}, 1},
		{"hang", "b", Row{Kind: "hang", Waiter: "b"}, 0},
	} {
		if got := Of(trials(), tc.kind, tc.waiter); got != tc.want || got.Had() != tc.had {
			t.Errorf("%s %s: %+v, had %d; want %+v, %d", tc.kind, tc.waiter, got, got.Had(), tc.want, tc.had)
		}
	}
}

func TestMet(t *testing.T) {
	for _, tc := range []struct {
		name string
		row  Row
		want bool
	}{
		{"at most", Row{P50: 1, Trials: 2}, true},
		{"more", Row{P50: 1.001, Trials: 2}, false},
		{"one gave up", Row{P50: 0.5, Trials: 2, GaveUp: 1}, false},
		{"one is stuck", Row{P50: 0.5, Trials: 2, Stuck: 1}, false},
		{"nothing was measured", Row{}, false},
	} {
		if got := tc.row.Met(tc.row.P50, time.Second); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	show := func(s float64) string { return fmt.Sprint(s, "s") }
	if err := Table(&b, show, Of(trials(), "503", "a"), Of(trials(), "503", "b")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| a   |  2s | 2.8s |  3s |  1 of 4 |     1 |\n", "| b   |   - |    - |   - |  1 of 1 |     0 |\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "1"), filepath.Join(t.TempDir(), "2")
	rows := []Row{Of(trials(), "503", "a"), Of(trials(), "hang", "a")}
	if err := Save(one, rows[:1]); err != nil {
		t.Fatal(err)
	}
	if err := Save(two, rows[1:]); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(one, two); err != nil || !slices.Equal(got, rows) {
		t.Errorf("%+v, %v; want %+v", got, err, rows)
	}
	if err := Save("", rows); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("[{]"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Save("/nonexistent/file", nil); err == nil {
		t.Error("saved nowhere")
	}
	for _, file := range []string{bad, "/nonexistent/file"} {
		if rows, err := Load(file); err == nil || rows != nil || !strings.HasPrefix(err.Error(), "reading the lags") {
			t.Errorf("%s: %v, %v", file, rows, err)
		}
	}
}
