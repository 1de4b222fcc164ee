// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"cmp"
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
	// nobody is an endpoint where nobody listens (port 9 is discard): the default of
	// every test.
	nobody = "http://127.0.0.1:9"
	// contractual is how soon after a signal the process is gone. It is an upper
	// bound of the contract, not a measurement: what else runs on the machine may
	// take slack more.
	contractual = time.Second
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
	env            []string // all of its environment
	stdout, stderr string
	errors         *os.File // in the place of the file stderr; nil: that
	ended          chan struct{}
}

// start runs imds-ready with these arguments in dir and nothing but env in its
// environment. The output files are PREFIX.stdout and PREFIX.stderr.
func start(dir, prefix string, env, args []string) (*process, error) {
	p := &process{env: env, stdout: prefix + ".stdout", stderr: prefix + ".stderr", ended: make(chan struct{})}
	if err := os.MkdirAll(filepath.Dir(prefix), 0o755); err != nil {
		return nil, err
	}
	return p, p.start(dir, args)
}

func (p *process) start(dir string, args []string) error {
	binary, err := exec.LookPath("imds-ready")
	if err != nil {
		return err
	}
	stdout, err := os.Create(p.stdout)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	p.cmd = exec.CommandContext(context.Background(), binary, args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, p.env, stdout, cmp.Or(p.errors, stderr)
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // wait reads the state
		close(p.ended)
	}()
	return nil
}

// wait waits for the end and returns how it came: the exit code, or the name of
// the signal that killed the process.
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

// stop kills it if it still runs.
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

// until polls a condition.
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

// after waits for a while, from which a test learns nothing.
func after(d time.Duration) { <-time.After(d) }

// launch is start for Go tests: the files go to dir, the process is killed in
// the end.
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

// outcome waits for the end and returns it with what was logged.
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
