// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// closedEndpoint refuses connections (port 9 is discard): the default of every
	// test.
	closedEndpoint = "http://127.0.0.1:9"
	// signalLimit is how long the process may run after a signal, by its contract.
	// slack is added for the load of the machine.
	signalLimit = time.Second
	slack       = 2 * time.Second
	// patience bounds every other wait.
	patience  = 30 * time.Second
	pollEvery = 5 * time.Millisecond
)

// process is an imds-ready that was started. Its output goes to two files, so
// that a test can read it at any time.
type process struct {
	cmd            *exec.Cmd
	started        time.Time
	stdout, stderr string
	ended          chan struct{}
}

// start runs imds-ready in dir with exactly these arguments and this environment.
// The output files are PREFIX.stdout and PREFIX.stderr.
func start(dir, prefix string, env, args []string) (*process, error) {
	p := &process{stdout: prefix + ".stdout", stderr: prefix + ".stderr", ended: make(chan struct{})}
	binary, err := exec.LookPath("imds-ready")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(prefix), 0o755); err != nil {
		return nil, err
	}
	stdout, err := os.Create(p.stdout)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p.cmd = exec.CommandContext(context.Background(), binary, args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, stdout, stderr
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // wait reads the state
		close(p.ended)
	}()
	return p, nil
}

// wait waits for the end and returns the exit code, or the name of the signal that
// killed the process.
func (p *process) wait(within time.Duration) (string, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		return "", fmt.Errorf("process %d has not ended within %v", p.cmd.Process.Pid, within)
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return unix.SignalName(status.Signal()), nil
	}
	return strconv.Itoa(status.ExitStatus()), nil
}

// stop kills the process if it still runs.
func (p *process) stop() {
	select {
	case <-p.ended:
		return
	default:
	}
	if err := p.cmd.Process.Kill(); err == nil || errors.Is(err, os.ErrProcessDone) {
		<-p.ended
	}
}

// until polls a condition, and returns whether it was met.
func until(within time.Duration, met func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	end := time.NewTimer(within)
	defer end.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-end.C:
			return met()
		}
	}
	return true
}

// launch is start for Go tests: it writes the files to dir, and kills the process
// at the end of the test.
func launch(t *testing.T, endpoint, config, dir string) *process {
	t.Helper()
	work := t.TempDir()
	file := filepath.Join(work, "c.toml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := start(work, filepath.Join(work, "out"), []string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + endpoint, "RUNTIME_DIRECTORY=" + dir, "GORACE=atexit_sleep_ms=0",
	}, []string{"run", "--config", file, "--log-level", "debug"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// outcome waits for the end and returns it with the log.
func (p *process) outcome(t *testing.T) (end, log string) {
	t.Helper()
	end, err := p.wait(patience)
	if err != nil {
		t.Fatal(err)
	}
	return end, readFile(t, p.stderr)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
