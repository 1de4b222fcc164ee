// SPDX-License-Identifier: Apache-2.0

// Package process runs a program as a whole process and tells how long it took
// and what it used: to its READY=1 (sd_notify(3)) and to its exit, by the
// monotonic clock of whoever waits for it, which is what systemd would see.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Program is what to run. Nothing is inherited: its environment is PATH and Env.
type Program struct {
	// Path and Args are the command.
	Path string
	Args []string
	// Env is its environment, as os.Environ returns it.
	Env []string
	// Dir is a directory for the notification socket and for what the program
	// prints; it has to exist.
	Dir string
}

// Result is one run.
type Result struct {
	// Ready is from the start to READY=1; 0: it was not said.
	Ready time.Duration
	// Exit is from the start until the process was gone.
	Exit time.Duration
	// Started is when it was started, with its monotonic reading.
	Started time.Time
	// CPU is its processor time, user and system.
	CPU time.Duration
	// Peak is its peak resident set in bytes, by wait4(2), children included.
	Peak int64
	// Floor is the harness's own peak at the time. Linux hands it down through
	// exec, so that a Peak that is not above it is only an upper bound.
	Floor int64
	// Code is the exit code, 128 plus its number for a signal.
	Code int
	// Notifications is how many datagrams were read.
	Notifications int
	// Log is the file with what the program printed.
	Log string
}

// Run runs a program to its end. The end of ctx kills it, and is an error; the
// Result is told nevertheless. An exit code is no error.
func Run(ctx context.Context, p Program) (Result, error) {
	r := Result{Log: filepath.Join(p.Dir, "output")}
	log, err := os.Create(r.Log)
	if err != nil {
		return r, fmt.Errorf("running %s: %w", p.Path, err)
	}
	defer log.Close()
	n, err := listen(filepath.Join(p.Dir, "notify"))
	if err != nil {
		return r, fmt.Errorf("running %s: %w", p.Path, err)
	}
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + n.path}, p.Env...)
	cmd.Stdout, cmd.Stderr = log, log

	r.Started = time.Now()
	err = cmd.Start()
	if err == nil {
		err = cmd.Wait()
	}
	r.Exit = time.Since(r.Started)
	closing := n.close()
	if cmd.ProcessState == nil { // it was not started
		return r, fmt.Errorf("running %s: %w", p.Path, err)
	}
	r.account(cmd.ProcessState)
	r.Notifications = n.count
	if !n.readyAt.IsZero() {
		r.Ready = n.readyAt.Sub(r.Started)
	}
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("running %s: %w; it printed:\n%s", p.Path, context.Cause(ctx), tail(r.Log))
	case closing != nil:
		err = fmt.Errorf("reading the notifications of %s: %w", p.Path, closing)
	default:
		err = nil // an exit code
	}
	return r, err
}

// account takes the kernel's accounts of the process.
func (r *Result) account(state *os.ProcessState) {
	r.CPU = state.UserTime() + state.SystemTime()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		r.Peak = usage.Maxrss << 10 // KiB: getrusage(2)
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err == nil {
		r.Floor = own.Maxrss << 10
	}
	r.Code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		r.Code = 128 + int(status.Signal())
	}
}

// Tail returns the last lines of what the program printed.
func (r Result) Tail() string { return tail(r.Log) }

func tail(file string) string {
	const last = 2000
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(b) > last {
		b = b[len(b)-last:]
	}
	return strings.TrimSpace(string(b))
}
