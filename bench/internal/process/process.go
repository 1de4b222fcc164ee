// SPDX-License-Identifier: Apache-2.0

// Package process runs a program and measures it from outside, as systemd would see it: the time to READY=1
// (sd_notify(3)) and to the exit by the monotonic clock, and the kernel's accounts.
package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Program describes a program to run. It does not inherit the environment: that is PATH, NOTIFY_SOCKET and Env.
type Program struct {
	Path string
	Args []string
	Env  []string // as os.Environ returns it
	Dir  string   // an existing directory for the notification socket and the output
}

// Result describes one run.
type Result struct {
	Started       time.Time     `json:"-"` // with a monotonic reading
	Ready         time.Duration // from the start to READY=1; 0 if that was not sent
	Exit          time.Duration // from the start to the exit
	CPU           time.Duration // user and system time
	Peak          int64         // the peak resident set in bytes by wait4(2), children included
	Floor         int64         // the harness's own peak: Linux passes it on through exec, so that a Peak not above it is an upper bound
	Code          int           // the exit code; 128 plus the number of a signal
	Notifications int           // datagrams
	Printed       string        // the end of the output
}

// Run runs a program until it exits. An exit code is not an error. The end of ctx kills the program and is an error;
// the Result is valid even then.
func Run(ctx context.Context, p Program) (r Result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("running %s: %w", p.Path, err)
		}
	}()
	output, err := os.Create(filepath.Join(p.Dir, "output"))
	if err != nil {
		return r, err
	}
	defer output.Close()
	socket := filepath.Join(p.Dir, "notify")
	end, err := listen(socket)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + socket}, p.Env...)
	cmd.Stdout, cmd.Stderr = output, output

	r.Started = time.Now()
	err = cmd.Run()
	r.Exit = time.Since(r.Started)
	count, ready, unread := end()
	if cmd.ProcessState == nil { // it did not start
		return r, err
	}
	r.account(cmd.ProcessState)
	printed, _ := os.ReadFile(output.Name())
	r.Printed = strings.TrimSpace(string(printed[max(0, len(printed)-2000):]))
	r.Notifications = count
	if !ready.IsZero() {
		r.Ready = ready.Sub(r.Started)
	}
	if ctx.Err() != nil {
		return r, fmt.Errorf("%w; it printed:\n%s", context.Cause(ctx), r.Printed)
	}
	return r, unread
}

// account reads the kernel's accounts of the process and of the harness. getrusage(2) counts memory in KiB.
func (r *Result) account(state *os.ProcessState) {
	r.CPU = state.UserTime() + state.SystemTime()
	r.Peak = int64(state.SysUsage().(*syscall.Rusage).Maxrss) << 10
	var own syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &own) // it cannot fail with these arguments
	r.Floor = int64(own.Maxrss) << 10
	r.Code = state.ExitCode()
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		r.Code = 128 + int(status.Signal())
	}
}

// listen reads a notification socket at once, as systemd does, so that the sender never has to wait. The function that
// it returns ends that by a datagram to itself, which is read after all datagrams that are still queued.
func listen(path string) (end func() (count int, ready time.Time, err error), err error) {
	const farewell = "FAREWELL"
	addr := &net.UnixAddr{Name: path, Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		return nil, err
	}
	var count int
	var ready time.Time
	done := make(chan error, 1)
	go func() {
		defer conn.Close()
		for b := make([]byte, 64<<10); ; count++ {
			size, err := conn.Read(b)
			now := time.Now()
			if err != nil || string(b[:size]) == farewell {
				done <- err
				return
			}
			if ready.IsZero() && slices.Contains(strings.Split(string(b[:size]), "\n"), "READY=1") {
				ready = now
			}
		}
	}()
	return func() (int, time.Time, error) {
		if _, err := conn.WriteToUnix([]byte(farewell), addr); err != nil {
			conn.Close() // which ends it without the queue, and with an error
		}
		err := <-done
		return count, ready, err
	}, nil
}
