// SPDX-License-Identifier: Apache-2.0

// The program sets the number of processors itself, so the runtime need not read the
// limits of the control group (https://go.dev/doc/godebug).
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command imds-ready blocks until EC2's Instance Metadata Service answers,
// writes the metadata to /run/imds and sends READY=1 to systemd. See
// imds-ready --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// version is set by the linker: -X main.version=1.2.3.
var version = "0.0.0-dev"

func main() {
	// Neither the wait nor the collection needs parallelism. With a second processor
	// the collection took longer, the wait used a sixth more CPU time, and the
	// additional threads cost memory.
	runtime.GOMAXPROCS(1)
	signal.Ignore(syscall.SIGPIPE) // the wait must outlive the reader of the log
	ctx := untilSignal()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if i, ok := errors.AsType[*readiness.Interrupted](context.Cause(ctx)); ok && code == int(i.Exit()) {
		die(i.Signal)
	}
	os.Exit(code)
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &checkedWriter{to: stdout}
	p := &program{stdout: out, console: stdout, stderr: stderr}
	root := p.command()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	if command, err := root.ExecuteContextC(ctx); err != nil {
		if command.Name() == "help" { // its own help does not list the commands
			command = root
		}
		fmt.Fprintf(stderr, "imds-ready: %v\nimds-ready: hint: see %s --help\n", err, command.CommandPath())
		return exitUsage
	}
	if p.logFormat == "journal" {
		awaitJournal(journalSocket, journalPatience)
	}
	if out.err != nil {
		if !errors.Is(out.err, syscall.EPIPE) { // the reader closed the pipe on purpose, as head(1) does
			fmt.Fprintf(stderr, "imds-ready: writing the output: %v\n", out.err)
		}
		return int(readiness.ExitFailure)
	}
	return p.exit
}

// checkedWriter keeps the first write error for run, so that truncated output
// never ends with exit code 0 and no other function has to check.
type checkedWriter struct {
	to  io.Writer
	err error
}

// Write implements [io.Writer]. It never fails.
func (w *checkedWriter) Write(p []byte) (int, error) {
	if _, err := w.to.Write(p); err != nil && w.err == nil {
		w.err = err
	}
	return len(p), nil
}

// signalGrace is how long the process may run after a signal, even if it is
// blocked by a full notification socket or a hanging file system.
const signalGrace = 900 * time.Millisecond

// untilSignal returns a context that the first SIGTERM or SIGINT cancels with a
// [readiness.Interrupted] as its cause. The second signal kills the process.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGINT) { // scripts ignore it in background jobs
		signal.Notify(signals, syscall.SIGINT)
	}
	go func() {
		s := (<-signals).(syscall.Signal)
		cancel(&readiness.Interrupted{Signal: s})
		select {
		case second := <-signals:
			die(second.(syscall.Signal))
		case <-time.After(signalGrace):
			die(s)
		}
	}()
	return ctx
}

// die ends the process by the signal, so that a shell sees 128 plus its number
// and systemd a clean stop: exit code 143 would leave the unit failed. The
// kernel does not kill the first process of a PID namespace, which can only exit.
func die(s syscall.Signal) {
	if os.Getpid() != 1 {
		signal.Reset(s)
		_ = syscall.Kill(os.Getpid(), s)
		time.Sleep(50 * time.Millisecond) // the signal is delivered within this time
	}
	os.Exit(128 + int(s))
}
