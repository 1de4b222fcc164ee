// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun is the whole benchmark, with a short wait.
func TestRun(t *testing.T) {
	var stdout strings.Builder
	if err := run(t.Context(), []string{"-for", "1s"}, &stdout); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# What waiting costs\n", "\n## refuse\n", "\n## 503\n", "| imds-ready ", "| curl, sleep 1 ",
		"not seen", "| CPU time in 1s, refused ", "| requests in any one second, 503 ",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}

func TestRunErrors(t *testing.T) {
	for _, args := range [][]string{{"-for", "0s"}, {"more"}, {"-x"}} {
		if err := run(t.Context(), args, &strings.Builder{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestTargets(t *testing.T) {
	of := func(cpu time.Duration, peak int, ended bool) outcome {
		o := outcome{howLong: 30 * time.Second}
		for _, kind := range kinds() {
			o.waits = append(
				o.waits,
				wait{waiter: waiters.Daemon, kind: kind, Result: process.Result{CPU: cpu}, counts: sim.Counts{Peak: peak}, ended: ended},
				wait{waiter: "other", kind: kind, Result: process.Result{CPU: time.Hour}, counts: sim.Counts{Peak: 1000}, ended: true},
			)
		}
		return o
	}
	for _, tc := range []struct {
		name    string
		outcome outcome
		missed  []string
	}{
		{"frugal", of(50*time.Millisecond, 40, false), nil},
		{"half a minute has half of the CPU time", of(51*time.Millisecond, 40, false), []string{"CPU time in 30s, refused"}},
		{"a flood", of(0, 41, false), []string{"requests in any one second, 503"}},
		{"gave up", of(0, 0, true), []string{"CPU time in 30s, refused", "requests in any one second, 503"}},
	} {
		var missed []string
		for _, target := range tc.outcome.targets() {
			if !target.Met {
				missed = append(missed, target.Name)
			}
		}
		if !slices.Equal(missed, tc.missed) {
			t.Errorf("%s: missed %q, want %q", tc.name, missed, tc.missed)
		}
	}
}

func TestRow(t *testing.T) {
	w := wait{waiter: "x", kind: "503", counts: sim.Counts{PUTs: 3, GETs: 2, Others: 1, Peak: 4}, ended: true}
	w.Result = process.Result{Exit: 4 * time.Second, CPU: 20 * time.Millisecond, Peak: 7 << 20, Floor: 8 << 20}
	if got, want := row(w), []string{"x", "gave up after 4.0 s", "20 ms", "<= 7.0 MiB", "6", "4"}; !slices.Equal(got, want) {
		t.Errorf("row %q, want %q", got, want)
	}
	w.kind, w.ended, w.Floor = "refuse", false, 0
	if got, want := row(w), []string{"x", "4.0 s", "20 ms", "7.0 MiB", "not seen", "not seen"}; !slices.Equal(got, want) {
		t.Errorf("row %q, want %q", got, want)
	}
}
