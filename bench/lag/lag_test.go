// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/program"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun is the whole benchmark, with one short outage of each kind.
func TestRun(t *testing.T) {
	var stdout strings.Builder
	if err := run(t.Context(), []string{"-n", "1", "-again", "2", "-shortest", "100ms", "-longest", "100ms"}, &stdout); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Lag: from IMDS up to ready\n", "\n## refuse\n", "\n## blackhole\n", "\n## hang\n", "\n## 503\n",
		"| SDK, 60 attempts, 1 s cap ", "| curl, sleep 1 ", "| hang, lag p50 ", "sleep 1; done",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
	for line := range strings.Lines(stdout.String()) {
		if strings.HasPrefix(line, "| imds-ready ") && !strings.HasSuffix(line, "|  0 of 2 |     0 |\n") {
			t.Errorf("imds-ready was not had: %s", line)
		}
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

func TestOutages(t *testing.T) {
	for _, tc := range []struct {
		n    int
		want []time.Duration
	}{
		{1, []time.Duration{2 * time.Second}},
		{2, []time.Duration{2 * time.Second, 4 * time.Second}},
		{5, []time.Duration{2000e6, 2500e6, 3000e6, 3500e6, 4000e6}},
	} {
		s := sweep{options: options{outages: tc.n, shortest: 2 * time.Second, longest: 4 * time.Second}}
		if got := s.outagesOf(); !slices.Equal(got, tc.want) {
			t.Errorf("%d outages: %v, want %v", tc.n, got, tc.want)
		}
	}
}

// shell is a waiter that is a script.
func shell(script string, says bool) waiters.Waiter {
	return waiters.Waiter{
		Name: "shell", SaysReady: says,
		Program: func(dir, url string) (process.Program, error) {
			return process.Program{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"URL=" + url}, Dir: dir}, nil
		},
	}
}

func TestTry(t *testing.T) {
	simulator, err := program.Own(t.Context(), "simulator", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name          string
		script        string
		says          bool
		gaveUp, stuck bool
		err           string
	}{
		{name: "gives up", script: "exit 1", gaveUp: true},
		{name: "says nothing", script: "exit 0", says: true, gaveUp: true},
		{name: "is stuck", script: "exec sleep 60", stuck: true},
		{name: "is too early", script: "exit 0", err: "before IMDS was up: the simulator keeps no time"},
		{name: "waits", script: "exec sleep 0.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "l") // short enough for a socket
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			s := sweep{options: options{over: time.Second}, dir: dir, simulator: simulator}
			got := trial{of: shell(tc.script, tc.says), kind: "503", outage: 200 * time.Millisecond}
			err = s.try(t.Context(), &got, dir+"/0")
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("err = %v, want %q", err, tc.err)
			}
			if got.gaveUp != tc.gaveUp || got.stuck != tc.stuck {
				t.Errorf("%+v", got)
			}
			if tc.name == "waits" && (got.lag < 50*time.Millisecond || got.lag > 5*time.Second) {
				t.Errorf("lag %v of a wait that is 100 ms too long", got.lag)
			}
		})
	}
}

func TestSweepEndsWithTheFirstError(t *testing.T) {
	s := sweep{options: options{outages: 50, parallel: 2, shortest: 1, longest: 50}, dir: t.TempDir(), simulator: "/nonexistent"}
	_, err := s.run(t.Context(), []waiters.Waiter{shell("", false)})
	if err == nil || !strings.HasPrefix(err.Error(), "shell through ") {
		t.Errorf("err = %v", err)
	}
}

func TestTargets(t *testing.T) {
	of := func(lag time.Duration, gaveUp bool) (all []trial) {
		for _, kind := range kinds() {
			all = append(all, trial{of: waiters.Waiter{Name: waiters.Daemon}, kind: kind, lag: lag}, trial{of: waiters.Waiter{Name: "other"}, kind: kind, lag: time.Hour})
		}
		all[0].gaveUp = gaveUp
		return all
	}
	for _, tc := range []struct {
		name   string
		trials []trial
		missed []string
	}{
		{"fast", of(150*time.Millisecond, false), nil},
		{"slower", of(400*time.Millisecond, false), []string{"refuse, lag p50", "blackhole, lag p50", "503, lag p50"}},
		{"gave up once", of(time.Millisecond, true), []string{"refuse, lag p50", "refuse, lag p90"}},
	} {
		var missed []string
		for _, target := range (outcome{trials: tc.trials}).targets() {
			if !target.Met {
				missed = append(missed, target.Name)
			}
		}
		if !slices.Equal(missed, tc.missed) {
			t.Errorf("%s: missed %q, want %q", tc.name, missed, tc.missed)
		}
	}
}
