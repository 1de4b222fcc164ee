// SPDX-License-Identifier: Apache-2.0

// Package report is the frame of every benchmark: it parses the flags, runs the benchmark, prints its Markdown and
// checks its targets. It also has the statistics that the tables and the plot share.
package report

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Main calls run and exits: with 0, or with 1 after printing an error. SIGINT and SIGTERM end the context, so that run
// ends the processes that it started; a second signal kills the process.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Setup defines the flags of a benchmark and returns the function that runs it once they are parsed.
type Setup func(*flag.FlagSet) func(context.Context, *Report) error

// Run runs the benchmark in the directory bench/NAME, and writes the report to stdout and to the file that -out names.
func Run(ctx context.Context, name, title string, setup Setup, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	out := flags.String("out", "", "also write the Markdown to this file")
	enforce := flags.Bool("enforce", false, "exit with 1 if a target is missed")
	run := setup(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	r, machine := &Report{}, machine(ctx) // whose load average must not include the benchmark
	if err := run(ctx, r); err != nil {
		return err
	}
	if len(r.targets) > 0 {
		r.Printf("\n")
		r.Table([]string{"target", "at most", "measured", ""}, r.targets...)
	}
	command := strings.Join(append([]string{"go run ./" + name}, args...), " ")
	text := fmt.Sprintf("# %s\n\n`%s` in bench/, on %s.\n\n%s", title, command, machine, r.body.String())
	_, err := io.WriteString(stdout, text)
	if err == nil && *out != "" {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err == nil && *enforce && r.missed {
		err = errors.New("a target was missed (-enforce)")
	}
	return err
}

// Report is the Markdown of a benchmark. Run adds the heading and the table of targets.
type Report struct {
	body    strings.Builder
	targets [][]string
	missed  bool
}

// Printf adds text.
func (r *Report) Printf(format string, args ...any) { fmt.Fprintf(&r.body, format, args...) }

// Target adds a row to the table of targets.
func (r *Report) Target(name, limit, measured string, met bool) {
	verdict := "met"
	if !met {
		verdict, r.missed = "NOT MET", true
	}
	r.targets = append(r.targets, []string{name, limit, measured, verdict})
}

// Table adds a table that is also readable as plain text, with the first column aligned to the left and the others to
// the right. All rows are as long as the header.
func (r *Report) Table(header []string, rows ...[]string) {
	rule, widths := make([]string, len(header)), make([]int, len(header))
	for i := range header {
		for _, row := range append(rows, header) {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]), 3)
		}
		rule[i] = strings.Repeat("-", widths[i]-1) + ":"
	}
	rule[0] = strings.Repeat("-", widths[0])
	for _, row := range append([][]string{header, rule}, rows...) {
		r.Printf("| %-*s |", widths[0], row[0])
		for i, cell := range row[1:] {
			r.Printf(" %*s |", widths[i+1], cell)
		}
		r.Printf("\n")
	}
}

// machine describes the machine in one line: processors, memory, kernel, Go, and how busy it is.
func machine(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, "sh", "-c", `
		printf '%s x %s, %s GiB of memory, Linux %s, load average %s' $(nproc) \
			"$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" $(awk '/MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo) \
			$(uname -r | cut -d - -f 1) $(cut -d ' ' -f 1 /proc/loadavg)`).Output()
	return fmt.Sprintf("%s, %s %s/%s", out, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Number is a measured value: a [time.Duration], bytes, a count.
type Number interface{ ~int | ~int64 | ~float64 }

// Quantile returns the q-quantile of the values: the minimum for 0, the median for 0.5, the maximum for 1. Between two
// neighbors it interpolates linearly ("type 7"). Without values it is 0.
func Quantile[N Number](values []N, q float64) N {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := min(max(q, 0), 1) * float64(len(sorted)-1)
	low := math.Floor(at)
	a, b := sorted[int(low)], sorted[int(math.Ceil(at))]
	return a + N((at-low)*float64(b-a))
}

// Busiest returns the most times in any window of one second, its end excluded.
func Busiest(times []time.Duration) int {
	most, first := 0, 0
	times = slices.Sorted(slices.Values(times))
	for i, at := range times {
		for at-times[first] >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Lags says how late one contestant was after one kind of outage. The quantiles are those of the trials that ended well,
// in seconds.
type Lags struct {
	Kind   string  `json:"kind"`
	Waiter string  `json:"waiter"`
	P50    float64 `json:"p50_seconds"`
	P90    float64 `json:"p90_seconds"`
	Max    float64 `json:"max_seconds"`
	Trials int     `json:"trials"`
	GaveUp int     `json:"gave_up"`
	Stuck  int     `json:"stuck"`
}

// Ready returns how many trials ended well.
func (l Lags) Ready() int { return l.Trials - l.GaveUp - l.Stuck }
