// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// Refresh measures refreshes after a gate, while nothing changes, beside the SDK's collection of the same tree.
func Refresh(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	rounds := flags.Int("n", 10, "rounds, of about 5 s each")
	return func(ctx context.Context, r *report.Report) error {
		if *rounds < 1 {
			return errors.New("-n must be at least 1")
		}
		dir, err := os.MkdirTemp("/dev/shm", "imds-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		bin := filepath.Join(dir, "bin")
		if _, err := build(ctx, bin); err != nil {
			return err
		}
		all, touched, printed, err := refreshes(ctx, dir, bin, *rounds)
		if err != nil {
			return err
		}
		r.Printf("After one gate, %d rounds of both ways to refresh, at 300µs, in the environment of the unit. Nothing changes.\nIn each round the SDK collects the same tree, one by one. The programs are built with %s.\n\n", *rounds, how)
		reportRefresh(r, all, touched, printed)
		return nil
	}
}

// reportRefresh writes the table and the targets. touched is the number of files besides status.json that were touched,
// and printed the number of bytes in the log.
func reportRefresh(r *report.Report, all measurements, touched, printed int) {
	busiest := func(m measurement) int { return m.Requests.Peak }
	all.table(
		r, "",
		at("CPU, median", 0.5, cpu, ms), at("CPU, p90", 0.9, cpu, ms),
		at("to exit", 0.5, func(m measurement) time.Duration { return m.Exit }, ms),
		column{"peak memory", memory},
		column{"PUT + GET", func(own measurements) string {
			return fmt.Sprintf("%d + %d", own[0].Requests.PUTs, own[0].Requests.GETs)
		}},
		at("in any one second", 1, busiest, count),
	)
	const maxRatio, maxPeak = 1.3, 20
	polite := all.of("", politeRefresh)
	peak := quantile(polite, 1, busiest)
	ratio := quantile(polite, 0.5, cpu).Seconds() / quantile(all.of("", oneByOne), 0.5, cpu).Seconds()
	r.Target("CPU time of a refresh of 95 paths, of the SDK's, medians", percent(maxRatio), percent(ratio), ratio <= maxRatio)
	r.Target("requests in any one second", count(maxPeak), count(peak), peak <= maxPeak)
	r.Target("files that are touched besides status.json", "0", count(touched), touched == 0)
	r.Target("bytes in the log, of notices and more", "0", count(printed), printed == 0)
}

const politeRefresh, refreshNow = "refresh", "refresh --now"

// refreshes runs a gate and then refreshes in one directory. It returns also how many files besides status.json were
// touched, and how many bytes were logged at notice or above.
func refreshes(ctx context.Context, dir, bin string, rounds int) (all measurements, touched, printed int, err error) {
	server, err := sim.Start(ctx, nil, filepath.Join(bin, "simulator"), "-latency", "300µs")
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	files := filepath.Join(dir, "imds")
	run := func(name, path string, args ...string) error {
		m := measurement{Contestant: name, Latency: server.Latency}
		if err := os.RemoveAll(filepath.Join(dir, "notify")); err != nil { // the socket of the run before
			return err
		}
		env := append(slices.Clone(unitEnvironment), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+server.URL)
		if m.Result, err = process.Run(ctx, process.Program{Path: filepath.Join(bin, path), Args: args, Env: env, Dir: dir}); err != nil {
			return err
		}
		if m.Code != 0 {
			return fmt.Errorf("%s: exit code %d; it printed:\n%s", name, m.Code, m.Printed)
		}
		if m.Requests, err = server.Take(); err != nil || name == "run" {
			return err
		}
		all, printed = append(all, m), printed+len(m.Printed)
		return nil
	}
	ours := func(name string, args ...string) error {
		return run(name, daemon, append(args, "--directory", files, "--log-level", "INFO+2")...)
	}
	if err := ours("run", "run"); err != nil {
		return nil, 0, 0, err
	}
	before, err := states(files)
	for i := 0; err == nil && i < rounds; i++ {
		err = errors.Join(
			ours(politeRefresh, "refresh"), ours(refreshNow, "refresh", "--now"),
			run(oneByOne, "sdk", "-endpoint", server.URL, "-out", filepath.Join(dir, "metadata.json")),
		)
	}
	if err != nil {
		return nil, 0, 0, err
	}
	after, err := states(files)
	for name, state := range after {
		if name != "status.json" && before[name] != state {
			touched++
		}
	}
	return all, touched + len(before) - len(after), printed, err
}

// states returns the inode and the time of every file in a directory.
func states(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		all[e.Name()] = fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano())
	}
	return all, nil
}
