// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == netns.Inside {
		main()
	}
	goleak.VerifyTestMain(m)
}

// TestRun is the whole benchmark, with one short wait of each. Where the kernel
// gives no namespace to whoever tests, it looks at how that is told.
func TestRun(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	file := filepath.Join(t.TempDir(), "late.json")
	var stdout strings.Builder
	err := run(t.Context(), []string{"-n", "1", "-again", "2", "-shortest", "300ms", "-longest", "400ms", "-json", file}, &stdout)
	if err != nil && strings.Contains(err.Error(), "making a network namespace") {
		if !strings.HasSuffix(err.Error(), "run this as root, or allow user namespaces") {
			t.Errorf("no hint in %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# A late address\n", "| imds-ready, eager = false ", "| curl, sleep 1 ", "| late address, lag p90 "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
	rows, err := lags.Load(file)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, r := range rows {
		trials := 1
		if i == 0 {
			trials = 2
		}
		if r.Kind != kind || r.Trials != trials || r.Had() != trials || r.P50 <= 0 || r.P50 > 5 {
			t.Errorf("%+v, want %d trials that ended well", r, trials)
		}
	}
}

// TestInsideIsNotHere: outside of a namespace of its own nothing is begun.
func TestInsideIsNotHere(t *testing.T) {
	err := inside(t.Context(), []string{"-dir", t.TempDir()}, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "this is not a network namespace of its own: ") {
		t.Errorf("err = %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, args := range [][]string{
		{"-n", "0"},
		{"-again", "0"},
		{"-parallel", "0"},
		{"-shortest", "0s"},
		{"-shortest", "5s"},
		{"more"},
		{"-x"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestWaits(t *testing.T) {
	of := map[int][]time.Duration{}
	for _, w := range waits(options{outages: 2, again: 2, shortest: 2 * time.Second, longest: 5 * time.Second}) {
		of[w.waiter] = append(of[w.waiter], w.outage)
	}
	if want := []time.Duration{2e9, 3e9, 4e9, 5e9}; !slices.Equal(of[0], want) {
		t.Errorf("imds-ready waits %v, want %v", of[0], want)
	}
	if want := []time.Duration{2e9, 5e9}; len(of) != 4 || !slices.Equal(of[1], want) {
		t.Errorf("waits %v, want %v for the other three", of, want)
	}
}

func TestWaiters(t *testing.T) {
	var names []string
	for _, w := range all("") {
		names = append(names, w.Name)
	}
	want := []string{waiters.Daemon, eagerOff, "SDK, 60 attempts, 1 s cap", "curl, sleep 1"}
	if !slices.Equal(names, want) {
		t.Errorf("waiters %q, want %q", names, want)
	}
}

func TestSweepEndsWithTheFirstError(t *testing.T) {
	_, err := sweep(t.Context(), options{outages: 5, again: 1, parallel: 1, shortest: 1, longest: 1}, "/nonexistent")
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/") {
		t.Errorf("err = %v", err)
	}
}

func TestTargets(t *testing.T) {
	of := func(gaveUp bool, all ...time.Duration) outcome {
		o := outcome{trials: []lags.Trial{{Kind: kind, Waiter: eagerOff, Lag: time.Hour}}}
		for _, lag := range all {
			o.trials = append(o.trials, lags.Trial{Kind: kind, Waiter: waiters.Daemon, Lag: lag, GaveUp: gaveUp})
		}
		return o
	}
	for _, tc := range []struct {
		name    string
		outcome outcome
		met     bool
		says    string
	}{
		{"soon", of(false, 10*time.Millisecond, 50*time.Millisecond), true, "46.0 ms"},
		{"late", of(false, 10*time.Millisecond, 60*time.Millisecond), false, "55.0 ms"},
		{"gave up", of(true, time.Millisecond), false, "0.0 ms"},
		{"not measured", of(false), false, "0.0 ms"},
	} {
		if got := tc.outcome.targets(); len(got) != 1 || got[0].Met != tc.met || got[0].Measured != tc.says {
			t.Errorf("%s: %+v, want met %t, %s", tc.name, got, tc.met, tc.says)
		}
	}
}
