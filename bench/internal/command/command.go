// SPDX-License-Identifier: Apache-2.0

// Package command is what the benchmarks have in common as programs.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Func is a program without its process.
type Func = func(ctx context.Context, args []string, stdout io.Writer) error

// Run runs a program with the process's arguments, and returns the exit code. An
// error goes to standard error behind the program's name. SIGINT and SIGTERM end
// the context, so that what was started ends too; a second one kills.
func Run(name string, program Func) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := program(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}
