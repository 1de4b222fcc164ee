// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"flag"
	"io/fs"
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

// TestMain makes the test binary a program under Main as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "program" {
		Main("name", func(ctx context.Context) error {
			switch os.Args[2] {
			case "works":
				return nil
			case "help":
				return flag.ErrHelp
			case "interrupted":
				if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
					return err
				}
				<-ctx.Done()
				return errors.New("it was interrupted")
			}
			return errors.New("it failed")
		})
	}
	os.Exit(m.Run())
}

func TestMainExits(t *testing.T) {
	for _, tc := range []struct {
		does, stderr string
		code         int
	}{
		{"works", "", 0},
		{"help", "", 0},
		{"fails", "name: it failed\n", 1},
		{"interrupted", "name: it was interrupted\n", 1},
	} {
		_, err := exec.CommandContext(t.Context(), os.Args[0], "program", tc.does).Output()
		code, stderr := 0, ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code, stderr = exit.ExitCode(), string(exit.Stderr)
		}
		if stderr != tc.stderr || code != tc.code {
			t.Errorf("%s: printed %q, exit code %d", tc.does, stderr, code)
		}
	}
}

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		args []string
		met  bool
		err  error
		text string // of the error, if err is nil
	}{
		{name: "met", args: []string{"-out", file, "-enforce"}, met: true},
		{name: "missed", args: []string{"-out", file}},
		{name: "missed, enforced", args: []string{"-out", file, "-enforce"}, err: ErrMissed},
		{name: "a file that cannot be written", args: []string{"-out", "/nonexistent/x.md"}, err: fs.ErrNotExist},
		{name: "a benchmark that fails", args: []string{"-fail"}, err: broken},
		{name: "an unknown flag", args: []string{"-x"}, text: "flag provided but not defined"},
		{name: "an argument", args: []string{"more"}, text: `unexpected argument "more"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			os.Remove(file)
			var stdout strings.Builder
			err := Run(t.Context(), "x", "Title", func(flags *flag.FlagSet) func(context.Context, *Report) error {
				fail := flags.Bool("fail", false, "")
				return func(_ context.Context, r *Report) error {
					r.Printf("text\n")
					r.Target("time", "60 %", "45 %", tc.met)
					if *fail {
						return broken
					}
					return nil
				}
			}, tc.args, &stdout)
			if !errors.Is(err, tc.err) && tc.text == "" || tc.text != "" && (err == nil || !strings.Contains(err.Error(), tc.text)) {
				t.Fatalf("err = %v, want %v %s", err, tc.err, tc.text)
			}
			if !slices.Contains(tc.args, file) {
				return
			}
			b, err := os.ReadFile(file)
			if err != nil || string(b) != stdout.String() {
				t.Errorf("the file has %q, %v; stdout has %q", b, err, stdout.String())
			}
			verdict := map[bool]string{true: "\n| time   |    60 % |     45 % | met |\n", false: "\n| time   |    60 % |     45 % | NOT MET |\n"}[tc.met]
			if !strings.HasPrefix(string(b), "# Title\n\n`go run ./x -out ") || !strings.Contains(string(b), "\n\ntext\n\n| target | at most |") || !strings.HasSuffix(string(b), verdict) {
				t.Errorf("report:\n%s", b)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var r Report
	r.Table([]string{"what", "p50", "µs"}, []string{"first", "1", ""}, []string{"ä", "12.5", "3"})
	const want = `| what  |  p50 |  µs |
| ----- | ---: | --: |
| first |    1 |     |
| ä     | 12.5 |   3 |
`
	if r.body.String() != want {
		t.Errorf("table:\n%swant:\n%s", r.body.String(), want)
	}
}

func TestField(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel name\t: AMD  EPYC\t7R13\nmodel name\t: another\n\nflags\t\t: fpu\n"
	for key, want := range map[string]string{"model name": "AMD EPYC 7R13", "flags": "fpu", "model": "unknown"} {
		if got := field(cpuinfo, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"none", nil, 0.5, 0},
		{"one", []float64{7}, 0.9, 7},
		{"odd, unsorted", []float64{9, 1, 5}, 0.5, 5},
		{"even", []float64{1, 2, 3, 4}, 0.5, 2.5},
		{"p90 of eleven", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9},
		{"minimum", []float64{3, 2}, 0, 2},
		{"maximum", []float64{3, 2}, 1, 3},
		{"negative", []float64{-4, -2}, 0.5, -3},
	} {
		before := slices.Clone(tc.values)
		if got := Quantile(tc.values, tc.q); got != tc.want || !slices.Equal(before, tc.values) {
			t.Errorf("%s: Quantile(%v, %v) = %v, want %v; the values are now %v", tc.name, before, tc.q, got, tc.want, tc.values)
		}
	}
}

func TestQuantileStaysWithinAndGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 50).Draw(t, "values")
		p := rapid.Float64Range(-0.5, 1.5).Draw(t, "p")
		q := rapid.Float64Range(-0.5, 1.5).Draw(t, "q")
		low, high := Quantile(values, min(p, q)), Quantile(values, max(p, q))
		const slack = 1e-3 // of the interpolation
		if low > high+slack || low < slices.Min(values)-slack || high > slices.Max(values)+slack {
			t.Fatalf("quantiles %v and %v give %v and %v of %v", p, q, low, high, values)
		}
	})
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
