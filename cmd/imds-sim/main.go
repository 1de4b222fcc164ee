// SPDX-License-Identifier: Apache-2.0

// Command imds-sim is an EC2 Instance Metadata Service that fails on command, for
// demonstrations, for tests, and for people without EC2. Package imdstest is the
// service; this command adds the flags, the request log and the exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes, from sysexits.h. --help lists them.
const (
	exitOK          = 0
	exitUsage       = 64 // a flag, an argument, a schedule
	exitData        = 65 // --tree is not a tree
	exitNoInput     = 66 // --tree cannot be read
	exitUnavailable = 69 // an address cannot be listened on
	exitCantCreate  = 73 // --log or --url-file cannot be created
	exitIO          = 74 // writing the URLs or the tree
)

// exitError is an error with an exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// fail gives an error an exit code.
func fail(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills the process
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run serves until ctx ends, and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitUsage // of the errors that cobra finds itself
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
	}
	fmt.Fprintf(stderr, "imds-sim: %v\n", err)
	if code == exitUsage {
		fmt.Fprintln(stderr, "hint: imds-sim --help lists the flags and the faults")
	}
	return code
}
