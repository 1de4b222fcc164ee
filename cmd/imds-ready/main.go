// SPDX-License-Identifier: Apache-2.0

// Command imds-ready blocks until EC2's Instance Metadata Service answers,
// writes what it said to /run/imds and says READY=1. See imds-ready --help.
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
	// Neither the wait nor the crawl needs parallelism: with a second processor a
	// crawl took longer and a wait a sixth more CPU time, and threads cost memory.
	runtime.GOMAXPROCS(1)
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more ends nothing
	ctx, interrupted := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if i, ok := errors.AsType[*readiness.Interrupted](interrupted()); ok && code == int(i.Exit()) {
		die(i.Signal)
	}
	os.Exit(code)
}

// run is the whole program but for the process itself.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &checkedWriter{to: stdout}
	p := &program{stdout: out, console: stdout, stderr: stderr}
	root := p.command()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "imds-ready: %v\nimds-ready: see %s --help\n", err, root.Name())
		return exitUsage
	}
	if out.err != nil {
		if !errors.Is(out.err, syscall.EPIPE) { // the reader had enough: nothing to say
			fmt.Fprintf(stderr, "imds-ready: writing the output: %v\n", out.err)
		}
		return int(readiness.ExitFailure)
	}
	return p.exit
}

// checkedWriter remembers that something could not be written, so that no
// caller needs to look: half an output must not end with 0.
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

// signalGrace is how long after a signal the process ends at the latest, whatever
// it is stuck in: a full notification socket, a file system that hangs.
const signalGrace = 900 * time.Millisecond

// untilSignal returns a context that ends with a [readiness.Interrupted] on the
// first SIGTERM or SIGINT; the second one kills. The function tells the cause.
func untilSignal(parent context.Context) (context.Context, func() error) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGINT) { // as for a job that a script left in the background
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
	return ctx, func() error { return context.Cause(ctx) }
}

// die ends the process by the signal, so that a shell sees 128 plus its number
// and systemd a clean stop: exiting with 143 would leave the unit failed. The
// kernel spares the first process of a PID namespace, which can only exit.
func die(s syscall.Signal) {
	if os.Getpid() != 1 {
		signal.Reset(s)
		_ = syscall.Kill(os.Getpid(), s)
		time.Sleep(50 * time.Millisecond) // it is delivered within this time
	}
	os.Exit(128 + int(s))
}
