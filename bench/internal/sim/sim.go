// SPDX-License-Identifier: Apache-2.0

// Package sim runs the benchmarks' simulator in a process of its own, so that its memory and processor time are not
// those of the harness, and talks to it over its standard input and output.
package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Hello is the simulator's first line.
type Hello struct {
	URL     string  `json:"url"`             // the endpoint, on the first address
	Latency float64 `json:"latency_seconds"` // by which an answer is held back, measured on the idle simulator
	Start   float64 `json:"start_seconds"`   // of the schedule, on CLOCK_MONOTONIC
}

// Counts says which requests the simulator received.
type Counts struct {
	PUTs   int `json:"puts"`            // requests for a token
	GETs   int `json:"gets"`            // requests for anything else
	Others int `json:"others"`          // requests with another method, or not HTTP
	Peak   int `json:"peak_per_second"` // the most requests in any window of one second
}

// Simulator is a running simulator. It is not safe for concurrent use.
type Simulator struct {
	Hello
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// Start starts the program bin, with process attributes if attr is not nil, and waits until it listens. The end of ctx
// kills it.
func Start(ctx context.Context, attr *syscall.SysProcAttr, bin string, args ...string) (*Simulator, error) {
	s := &Simulator{cmd: exec.CommandContext(ctx, bin, args...)}
	s.cmd.SysProcAttr, s.cmd.Stderr = attr, os.Stderr
	in, errIn := s.cmd.StdinPipe()
	out, errOut := s.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, s.cmd.Start()); err != nil {
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	s.in, s.out = in, json.NewDecoder(out)
	if err := s.out.Decode(&s.Hello); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the simulator: %w", err), s.Stop())
	}
	return s, nil
}

// Take returns the counts since the last call.
func (s *Simulator) Take() (c Counts, err error) {
	if _, err = io.WriteString(s.in, "counts\n"); err == nil {
		err = s.out.Decode(&c)
	}
	if err != nil {
		return Counts{}, fmt.Errorf("asking the simulator for its counts: %w", err)
	}
	return c, nil
}

// PID returns the simulator's process ID.
func (s *Simulator) PID() int { return s.cmd.Process.Pid }

// Stop ends the simulator and waits for it.
func (s *Simulator) Stop() error {
	_ = s.in.Close() // if the simulator has exited already, Wait returns the reason
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("ending the simulator: %w", err)
	}
	return nil
}

// Monotonic returns a time of this process in seconds of CLOCK_MONOTONIC, which all processes of the machine share. t
// must have a monotonic reading.
func Monotonic(t time.Time) float64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // every Linux has this clock
	return (time.Duration(now.Nano()) - time.Since(t)).Seconds()
}
