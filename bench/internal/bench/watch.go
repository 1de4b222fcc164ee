// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// watched is the path that changes while imds-ready watch is measured.
const watched = "meta-data/spot/instance-action"

// Watch measures imds-ready watch with its default paths, of which one changes.
func Watch(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	long := flags.Duration("for", 2*time.Minute, "how long to watch")
	interval := flags.Duration("interval", 5*time.Second, "interval of [watch]")
	return func(ctx context.Context, r *report.Report) error {
		if *interval < time.Second || *long < 3**interval {
			return errors.New("-interval must be at least 1s, and -for three of it")
		}
		dir, err := os.MkdirTemp("/dev/shm", "imds-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if _, err := build(ctx, filepath.Join(dir, "bin")); err != nil {
			return err
		}
		m, err := watch(ctx, dir, *interval, *long)
		if err != nil {
			return err
		}
		r.Printf("imds-ready watch for %v at an interval of %v, at 300µs, in the environment of the unit. One of its four paths changes %d times.\n"+
			"The program is built with %s.\n\n", *long, *interval, len(m.lags), how)
		share := 100 * m.cpu.Seconds() / long.Seconds()
		r.Table([]string{"", "CPU", "of one core", "peak memory", "GETs", "change to file, p50", "max"}, []string{
			"watch", ms(m.cpu), fmt.Sprintf("%.3f %%", share), mib(m.peak), count(m.gets),
			seconds(report.Quantile(m.lags, 0.5)), seconds(slices.Max(m.lags)),
		})
		const maxShare, maxPeak = 0.1, 12 << 20
		limit := *interval + 100*time.Millisecond
		r.Target("share of one core", fmt.Sprintf("%.1f %%", maxShare), fmt.Sprintf("%.3f %%", share), share <= maxShare)
		r.Target("peak memory", mib(maxPeak), mib(m.peak), m.peak <= maxPeak)
		r.Target("from a change to its file, the interval and 100 ms", seconds(limit), seconds(slices.Max(m.lags)), slices.Max(m.lags) <= limit)
		return nil
	}
}

// watching is what imds-ready watch cost, and how long each change took to be in its file.
type watching struct {
	cpu  time.Duration
	peak int64 // in bytes
	gets int
	lags []time.Duration
}

// watch runs the program in dir for a time.
func watch(ctx context.Context, dir string, interval, long time.Duration) (m watching, err error) {
	// The changes come at all times of an interval.
	args, at := []string{"-latency", "300µs"}, []time.Duration(nil)
	for t := interval; t < long-3*interval/2; t += interval * 137 / 100 {
		args, at = append(args, "-change", fmt.Sprintf("%s=%v=%d", watched, t, len(at))), append(at, t)
	}
	server, err := sim.Start(ctx, nil, filepath.Join(dir, "bin", "simulator"), args...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	files, config := filepath.Join(dir, "imds"), filepath.Join(dir, "watch.toml")
	err = errors.Join(os.Mkdir(files, 0o755), os.WriteFile(config, fmt.Appendf(nil, "[watch]\ninterval = %q\n", interval), 0o644))
	if err != nil {
		return m, err
	}
	now := time.Now()
	start := now.Add(-time.Duration((sim.Monotonic(now) - server.Start) * float64(time.Second))) // of the changes, by the clock of files
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", daemon), "watch", "--config", config, "--directory", files)
	cmd.Env = append(slices.Clone(unitEnvironment), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+server.URL)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return m, err
	}
	written := map[string]time.Time{} // by body
	for time.Since(now) < long && ctx.Err() == nil {
		time.Sleep(interval / 20)
		body, _ := os.ReadFile(filepath.Join(files, "watch", watched))
		if info, err := os.Stat(filepath.Join(files, "watch", watched)); err == nil && written[string(body)].IsZero() {
			written[string(body)] = info.ModTime()
		}
	}
	m.peak, err = highWater(cmd.Process.Pid)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait() // it ends by the signal
	if err = errors.Join(err, context.Cause(ctx)); err != nil {
		return m, fmt.Errorf("%w; it printed:\n%s", err, log.Bytes())
	}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	for i, t := range at {
		then, ok := written[strconv.Itoa(i)]
		if !ok {
			return m, fmt.Errorf("change %d, at %v, is in no file; it printed:\n%s", i, t, log.Bytes())
		}
		m.lags = append(m.lags, then.Sub(start.Add(t)))
	}
	counts, err := server.Take()
	m.gets = counts.GETs
	return m, err
}

// highWater returns the peak resident set of a process in bytes (VmHWM). Unlike that of wait4(2), it does not include
// the memory of the harness before exec.
func highWater(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status)
	if found == nil {
		return 0, errors.New("the process has ended")
	}
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	return n << 10, err
}
