// SPDX-License-Identifier: Apache-2.0

// Package sim starts the benchmarks' simulator in a process of its own, so that
// its memory and processor time are not the harness's, and talks to it over its
// standard input and output.
package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Hello is the simulator's first line.
type Hello struct {
	// URL is the endpoint to ask.
	URL string `json:"url"`
	// Latency is what an answer is held back by, in seconds, as measured
	// while nothing else ran.
	Latency float64 `json:"latency_seconds"`
	// Start is when the schedule began, in seconds of CLOCK_MONOTONIC.
	Start float64 `json:"start_seconds"`
}

// Counts is what the simulator was asked.
type Counts struct {
	// Connections are those that the kernel let through.
	Connections int `json:"connections"`
	// PUTs are requests for a token, GETs for anything else.
	PUTs int `json:"puts"`
	GETs int `json:"gets"`
	// Others are requests of another method, or not HTTP.
	Others int `json:"others"`
	// Peak is the most requests in any one second.
	Peak int `json:"peak_per_second"`
}

// Simulator is one that runs. It is not safe for concurrent use.
type Simulator struct {
	Hello
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts the program bin and waits until it listens. The end of ctx kills
// it.
func Start(ctx context.Context, bin string, args ...string) (*Simulator, error) {
	return StartWith(ctx, nil, bin, args...)
}

// StartWith is Start in a namespace, or as whoever, attr says.
func StartWith(ctx context.Context, attr *syscall.SysProcAttr, bin string, args ...string) (*Simulator, error) {
	s := &Simulator{cmd: exec.CommandContext(ctx, bin, args...)}
	s.cmd.SysProcAttr = attr
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	if err := s.read(&s.Hello); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the simulator: %w", err), s.Stop())
	}
	return s, nil
}

// Take returns what was counted since the last call.
func (s *Simulator) Take() (Counts, error) {
	var c Counts
	_, err := io.WriteString(s.in, "counts\n")
	if err == nil {
		err = s.read(&c)
	}
	if err != nil {
		return Counts{}, fmt.Errorf("asking the simulator for its counts: %w", err)
	}
	return c, nil
}

// PID is the process that it is.
func (s *Simulator) PID() int { return s.cmd.Process.Pid }

// Stop ends the simulator and waits for it.
func (s *Simulator) Stop() error {
	// One that has ended by itself has closed it: Wait tells why.
	_ = s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("ending the simulator: %w", err)
	}
	return nil
}

// Round rounds a time in seconds for people.
func Round(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}

func (s *Simulator) read(into any) error {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}
