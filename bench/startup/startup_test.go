// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// TestRun is the whole benchmark, with one round: everything is built and run.
func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []string // in the report
	}{
		{"the identity document", []string{"-identity"}, []string{" 1 + 1 |", "| peak memory, the worst run "}},
		{
			"all",
			[]string{"-all"},
			[]string{
				" 1 + 1 |", " 1 + 94 |", " 1 + 417 |", "## the whole tree, at 1ms ", "start to ready, of the SDK's time",
				"| imds-ready ", "| imds-ready, GOMAXPROCS=64 ", "| SDK, one by one ", "| SDK, 4 at a time ",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "startup.md")
			var stdout strings.Builder
			if err := run(t.Context(), append(tc.args, "-n", "1", "-warmup", "0", "-out", out), &stdout); err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("no %q in\n%s", want, stdout.String())
				}
			}
			if b, err := os.ReadFile(out); err != nil || string(b) != stdout.String() {
				t.Errorf("-out: %v, %d bytes", err, len(b))
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-warmup", "-1"}, {"-interfaces", "-1"}, {"more"}, {"-x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// times makes a contestant whose runs took so long.
func times(name string, says bool, ms ...int) *contestant {
	c := &contestant{name: name, path: name, ready: says, size: 5 * mib, counts: sim.Counts{PUTs: 1, GETs: 94}}
	for _, n := range ms {
		d := time.Duration(n) * time.Millisecond
		r := process.Result{Exit: d, CPU: d / 2, Peak: 9 * mib, Floor: 4 * mib}
		if says {
			r.Ready, r.Exit, r.Notifications = d, d+time.Millisecond, 7
		}
		c.results = append(c.results, r)
	}
	return c
}

// example is an outcome of three rounds.
func example() *outcome {
	us, sdk := times("imds-ready", true, 30, 90, 40), times("SDK", false, 60, 180, 100)
	return &outcome{
		head: "# Title\n", sdk: "v1", options: options{rounds: 3, warmup: 2},
		played: []*played{{scene: standard(), measured: 0.00031, all: []*contestant{us, sdk}}},
	}
}

func TestReport(t *testing.T) {
	var b strings.Builder
	if err := example().write(&b); err != nil {
		t.Fatal(err)
	}
	const want = `
|            |   median |      p90 | ratio |  to exit |     CPU | peak memory | PUT + GET | notifications |   binary |
| ---------- | -------: | -------: | ----: | -------: | ------: | ----------: | --------: | ------------: | -------: |
| imds-ready |  40.0 ms |  80.0 ms |  0.50 |  41.0 ms | 20.0 ms |    9.00 MiB |    1 + 94 |             7 | 5.00 MiB |
| SDK        | 100.0 ms | 164.0 ms |  1.00 | 100.0 ms | 50.0 ms |    9.00 MiB |    1 + 94 |             0 | 5.00 MiB |

| target                                       |   at most | measured |     |
| -------------------------------------------- | --------: | -------: | --: |
| start to ready, of the SDK's time one by one |      50 % |     50 % | met |
| peak memory, the worst run                   | 16.00 MiB | 9.00 MiB | met |
| stripped binary                              |  8.00 MiB | 5.00 MiB | met |
`
	if !strings.HasPrefix(b.String(), "# Title\n\nThe simulator ") || !strings.HasSuffix(b.String(), want) {
		t.Errorf("report:\n%s\nwant at its end:\n%s", b.String(), want)
	}
	if !strings.Contains(b.String(), "## the whole tree, at 300µs (310µs measured)\n") {
		t.Error("the latency that was measured is not told")
	}
}

func TestTargets(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*outcome)
		want   string // the targets that are missed
	}{
		{"all met", func(*outcome) {}, ""},
		{"slow", func(o *outcome) { o.played[0].daemon().results = times("", true, 31, 92, 90).results }, "start to ready, of the SDK's time one by one"},
		{"one large run", func(o *outcome) { o.played[0].daemon().results[1].Peak = maxPeak + 1 }, "peak memory, the worst run"},
		{"a large program", func(o *outcome) { o.played[0].daemon().size = maxSize + 1 }, "stripped binary"},
		{"slow with another tree", func(o *outcome) {
			o.played[0].daemon().results, o.played[0].interfaces = times("", true, 99, 99, 99).results, 1
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := example()
			tc.change(o)
			var missed []string
			for _, target := range o.targets() {
				if !target.Met {
					missed = append(missed, target.Name)
				}
			}
			if got := strings.Join(missed, ", "); got != tc.want {
				t.Errorf("missed %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPeakIsABoundWhereTheHarnessHadAsMuch(t *testing.T) {
	c := times("x", false, 1, 2)
	c.results[0].Floor = 9 * mib
	if got := peak(&contestant{results: c.results[:1]}); got != "<= 9.00 MiB" {
		t.Errorf("peak %q", got)
	}
	c.results[1].Peak++
	if got := peak(c); got != "9.00 MiB" {
		t.Errorf("a worse run is exact: %q", got)
	}
}

func TestRoundsTellWhatFailed(t *testing.T) {
	for _, tc := range []struct {
		name, script, want string
		ready              bool
	}{
		{"exit code", "echo sorry; exit 3", "round 1: shell: exit code 3; it printed:\nsorry", false},
		{"no file", "exit 0", "no such file", false},
		{"no READY=1", "touch product", "no READY=1", true},
		{"too long", "exec sleep 60", "context deadline exceeded", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bin := t.TempDir()
			c := &contestant{name: "shell", path: "/bin/sh", product: "product", ready: tc.ready}
			c.args = func(dir string) ([]string, error) { return []string{"-c", "cd " + dir + "; " + tc.script}, nil }
			server := startSimulator(t, bin)
			s := rounds{dir: shortDir(t), server: server, timeout: 5 * time.Second}
			if tc.name == "too long" {
				s.timeout = 100 * time.Millisecond
			}
			err := s.run(t.Context(), 0, 1, []*contestant{c})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
			if left, _ := os.ReadDir(s.dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestRoundsGoForthAndBack(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	var all []*contestant
	for _, name := range []string{"a", "b"} {
		all = append(all, &contestant{name: name, path: "/bin/sh", product: "product", args: func(dir string) ([]string, error) {
			return []string{"-c", "touch " + dir + "/product; echo " + name + " >>" + log}, nil
		}})
	}
	s := rounds{dir: shortDir(t), server: startSimulator(t, t.TempDir()), timeout: time.Minute}
	if err := s.run(t.Context(), 1, 2, all); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(log); err != nil || string(b) != "a\nb\nb\na\na\nb\n" {
		t.Errorf("order %q, %v", b, err)
	}
	for _, c := range all {
		if len(c.results) != 2 {
			t.Errorf("%s: %d results, want those of 2 rounds", c.name, len(c.results))
		}
	}
}
