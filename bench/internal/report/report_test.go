// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMain makes the test binary a program under Main as well. It ends with an error.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && !strings.HasPrefix(os.Args[1], "-") {
		Main("name", func(ctx context.Context) error {
			switch os.Args[1] {
			case "help":
				return flag.ErrHelp
			case "interrupted":
				_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
				<-ctx.Done()
			}
			return errors.New(os.Args[1])
		})
	}
	os.Exit(m.Run())
}

func TestMainExits(t *testing.T) {
	for does, want := range map[string]string{"help": "", "failed": "name: failed\n", "interrupted": "name: interrupted\n"} {
		_, err := exec.CommandContext(t.Context(), os.Args[0], does).Output()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if ok != (want != "") || ok && (exit.ExitCode() != 1 || string(exit.Stderr) != want) {
			t.Errorf("%s: %v, want %q", does, err, want)
		}
	}
}

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	for _, tc := range []struct {
		name, args string
		met        bool
		err        string
	}{
		{name: "met", args: "-enforce", met: true},
		{name: "missed"},
		{name: "missed, enforced", args: "-enforce", err: "a target was missed"},
		{name: "a file that cannot be written", args: "-out /nonexistent/x.md", err: "no such file"},
		{name: "a benchmark that fails", args: "-fail", err: "broken"},
		{name: "an unknown flag", args: "-x", err: "flag provided but not defined"},
		{name: "an argument", args: "more", err: `unexpected argument "more"`},
	} {
		os.Remove(file)
		var stdout strings.Builder
		err := Run(t.Context(), "x", "Title", func(flags *flag.FlagSet) func(context.Context, *Report) error {
			fail := flags.Bool("fail", false, "")
			return func(_ context.Context, r *Report) error {
				r.Printf("text\n")
				r.Target("time", "60 %", "45 %", tc.met)
				if *fail {
					return errors.New("broken")
				}
				return nil
			}
		}, append([]string{"-out", file}, strings.Fields(tc.args)...), &stdout)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: err = %v, want %q", tc.name, err, tc.err)
		}
		if !strings.HasPrefix(tc.name, "m") {
			continue
		}
		b, _ := os.ReadFile(file)
		verdict := map[bool]string{true: "\n| time   |    60 % |     45 % | met |\n", false: "\n| time   |    60 % |     45 % | NOT MET |\n"}[tc.met]
		if string(b) != stdout.String() || !strings.HasPrefix(string(b), "# Title\n\n`go run ./x -out ") ||
			!strings.Contains(string(b), "\n\ntext\n\n| target | at most |") || !strings.HasSuffix(string(b), verdict) {
			t.Errorf("%s: the file has\n%s, stdout\n%s", tc.name, b, stdout.String())
		}
	}
}

func TestQuantile(t *testing.T) {
	for _, tc := range []struct {
		values  []float64
		q, want float64
	}{
		{nil, 0.5, 0},
		{[]float64{7}, 0.9, 7},
		{[]float64{9, 1, 5}, 0.5, 5},
		{[]float64{1, 2, 3, 4}, 0.5, 2.5},
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9},
		{[]float64{3, 2}, 0, 2},
		{[]float64{3, 2}, 1, 3},
		{[]float64{-4, -2}, 0.5, -3},
	} {
		before := slices.Clone(tc.values)
		if got := Quantile(tc.values, tc.q); got != tc.want || !slices.Equal(before, tc.values) {
			t.Errorf("Quantile(%v, %v) = %v, want %v; the values are now %v", before, tc.q, got, tc.want, tc.values)
		}
	}
}

// TestBusiest compares with a count of the window after each time.
func TestBusiest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var times []time.Duration
		for _, tenths := range rapid.SliceOf(rapid.IntRange(0, 60)).Draw(t, "tenths of a second") {
			times = append(times, time.Duration(tenths)*time.Second/10)
		}
		want := 0
		for _, from := range times {
			n := 0
			for _, at := range times {
				if at >= from && at < from+time.Second {
					n++
				}
			}
			want = max(want, n)
		}
		if got := Busiest(times); got != want {
			t.Fatalf("%v: %d, want %d", times, got, want)
		}
	})
}
