// SPDX-License-Identifier: Apache-2.0

// Package bench has the benchmarks that run programs. Each is mostly data: trials of contestants, the columns of its
// tables, and its targets. There is one way to do a trial and to measure it.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// Main runs the benchmark in the directory bench/NAME and exits. If the harness has started itself again in a network
// namespace, it does one trial there.
func Main(name, title string, setup report.Setup) {
	report.Main(name, func(ctx context.Context) error {
		if len(os.Args) == 3 && os.Args[1] == netns.Inside {
			return inside(ctx, os.Args[2], os.Stdout)
		}
		return report.Run(ctx, name, title, setup, os.Args[1:], os.Stdout)
	})
}

// inside does a trial in a network namespace that was just made for it, and prints the measurements as JSON.
func inside(ctx context.Context, arg string, stdout io.Writer) error {
	if err := netns.Alone(); err != nil { // before anything else
		return err
	}
	var t trial
	if err := errors.Join(netns.Up("lo"), json.Unmarshal([]byte(arg), &t)); err != nil {
		return err
	}
	all, err := t.here(ctx)
	return errors.Join(err, json.NewEncoder(stdout).Encode(all))
}

// measure builds the programs, does the trials, some at the same time, and returns the measurements in the order of the
// trials. It also returns the module and the version of the AWS SDK for Go. The first error ends it.
func measure(ctx context.Context, parallel int, trials []trial) (all measurements, sdk string, err error) {
	// The directory is in memory, as /run is, and has a short name, since the path of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("/dev/shm", "imds-bench-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	if sdk, err = build(ctx, bin); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]measurements, len(trials))
	places := make(chan struct{}, parallel)
	var running sync.WaitGroup
	// The order is shuffled, always in the same way: otherwise trials that run at the same time would see IMDS come up at
	// the same time, and compete for the processors.
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(trials)) {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			t := trials[i]
			t.Bin, t.Dir = bin, filepath.Join(dir, fmt.Sprint(i))
			var err error
			if results[i], err = t.measure(ctx); err != nil {
				cancel(fmt.Errorf("%s: %w", t.Scene, err))
			}
		})
	}
	running.Wait()
	return slices.Concat(results...), sdk, context.Cause(ctx)
}

// how is the command that builds the programs: stripped and static, as the packages ship the daemon.
const how = "CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'"

// build builds the daemon, under its own go.mod, and the other programs into a directory. It returns the module and the
// version of the AWS SDK for Go. The working directory must be in bench/.
func build(ctx context.Context, bin string) (sdk string, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-euc", `
		module=github.com/imds-ready/imds-ready
		root=$(go list -m -f '{{.Dir}}' $module)
		go build -C "$root" -trimpath -buildvcs=false -ldflags '-s -w' -o "$BIN/" $module/cmd/imds-ready
		for program in simulator sdk dialer; do
			go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$BIN/" $module/bench/$program
		done
		go list -m github.com/aws/aws-sdk-go-v2/feature/ec2/imds`)
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0", "BIN="+bin), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building the programs in bench/: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// measurements are the outcomes of trials.
type measurements []measurement

// of returns the measurements in a scene, unless that is empty, of a contestant, unless that is empty.
func (all measurements) of(scene, contestant string) measurements {
	return slices.DeleteFunc(slices.Clone(all), func(m measurement) bool {
		return scene != "" && m.Scene != scene || contestant != "" && m.Contestant != contestant
	})
}

// names returns the contestants in the order in which they first appear.
func (all measurements) names() (names []string) {
	for _, m := range all {
		if !slices.Contains(names, m.Contestant) {
			names = append(names, m.Contestant)
		}
	}
	return names
}

// quantile returns a quantile of one number of the measurements.
func quantile[N report.Number](all measurements, q float64, of func(measurement) N) N {
	numbers := make([]N, len(all))
	for i, m := range all {
		numbers[i] = of(m)
	}
	return report.Quantile(numbers, q)
}

// column is a column of a table that has a row for each contestant.
type column struct {
	title string
	cell  func(measurements) string // of one contestant
}

// at is a column of a quantile; 0.5 is the median, 1 the maximum.
func at[N report.Number](title string, q float64, of func(measurement) N, format func(N) string) column {
	return column{title, func(own measurements) string { return format(quantile(own, q, of)) }}
}

// table writes a table with the names of the contestants in the first column.
func (all measurements) table(r *report.Report, corner string, columns ...column) {
	header, rows := []string{corner}, [][]string(nil)
	for _, c := range columns {
		header = append(header, c.title)
	}
	for _, name := range all.names() {
		row := []string{name}
		for _, c := range columns {
			row = append(row, c.cell(all.of("", name)))
		}
		rows = append(rows, row)
	}
	r.Table(header, rows...)
}

// memory formats the worst peak memory. If the harness itself used as much, the value is an upper bound (process.Result).
func memory(all measurements) string {
	worst := quantile(all, 1, peak)
	if worst <= quantile(all, 1, func(m measurement) int64 { return m.Floor }) {
		return "<= " + mib(worst)
	}
	return mib(worst)
}

// The numbers of a measurement that more than one benchmark shows, and their formats.
func done(m measurement) time.Duration { return m.Done }
func cpu(m measurement) time.Duration  { return m.CPU }
func peak(m measurement) int64         { return m.Peak }
func packetCount(m measurement) int    { return m.Packets }

func ms(d time.Duration) string      { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
func mib(n int64) string             { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }
func count(n int) string             { return fmt.Sprint(n) }
func percent(f float64) string       { return fmt.Sprintf("%.0f %%", 100*f) }
