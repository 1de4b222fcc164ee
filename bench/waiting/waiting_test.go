// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == netns.Inside {
		main()
	}
	goleak.VerifyTestMain(m)
}

// TestRun is the whole benchmark, with a short wait: 10,000 changes of the network
// in it are more than anybody sees in a minute. Where the kernel gives no
// namespace to whoever tests, it looks at how that is told.
func TestRun(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	var stdout strings.Builder
	err := run(t.Context(), []string{"-for", "2s"}, &stdout)
	if err != nil && strings.Contains(err.Error(), "making a network namespace") {
		if !strings.HasSuffix(err.Error(), "run this as root, or allow user namespaces") {
			t.Errorf("no hint in %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# What waiting costs\n", "\n## refused\n", "\n## 503\n", "| imds-ready ", "| curl, sleep 1 ", "| " + bare + " ",
		"while the network changes: an address comes and one goes, 10000 times\n",
		"| CPU time in 2s, refused ", "| connections in any one second, refused ", "| connections in any one second, 503 ",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
	for line := range strings.Lines(stdout.String()) {
		if strings.HasPrefix(line, "| connections in") && strings.Contains(line, "NOT MET") {
			t.Errorf("too many attempts, or none: %s", line)
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

func TestRunErrors(t *testing.T) {
	for _, args := range [][]string{{"-for", "0s"}, {"more"}, {"-x"}} {
		if err := run(t.Context(), args, &strings.Builder{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestTargets(t *testing.T) {
	of := func(cpu time.Duration, busiest int, ended bool) outcome {
		o := outcome{howLong: 30 * time.Second}
		for _, k := range kinds() {
			o.waits = append(
				o.waits,
				wait{Waiter: waiters.Daemon, Kind: k.name, Result: process.Result{CPU: cpu}, Busiest: busiest, Ended: ended},
				wait{Waiter: "other", Kind: k.name, Result: process.Result{CPU: time.Hour}, Busiest: 1000, Ended: true},
			)
		}
		return o
	}
	rates := []string{
		"connections in any one second, refused", "connections in any one second, 503",
		"connections in any one second, refused, while the network changes",
	}
	for _, tc := range []struct {
		name    string
		outcome outcome
		missed  []string
	}{
		{"frugal", of(50*time.Millisecond, 40, false), nil},
		{"half a minute has half of the CPU time", of(51*time.Millisecond, 40, false), []string{"CPU time in 30s, refused"}},
		{"a flood", of(0, 41, false), rates},
		{"not counted", of(0, 0, false), rates},
		{"gave up", of(0, 1, true), append([]string{"CPU time in 30s, refused"}, rates...)},
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
	w := wait{Waiter: "x", Kind: answered, Packets: 30, Tried: 6, Busiest: 4, Ended: true}
	w.Result = process.Result{Exit: 4 * time.Second, CPU: 20 * time.Millisecond, Peak: 7 << 20, Floor: 8 << 20}
	if got, want := row(w), []string{"x", "gave up after 4.0 s", "20 ms", "<= 7.0 MiB", "30", "6", "4"}; !slices.Equal(got, want) {
		t.Errorf("row %q, want %q", got, want)
	}
	w.Ended, w.Floor = false, 0
	if got, want := row(w), []string{"x", "4.0 s", "20 ms", "7.0 MiB", "30", "6", "4"}; !slices.Equal(got, want) {
		t.Errorf("row %q, want %q", got, want)
	}
}
