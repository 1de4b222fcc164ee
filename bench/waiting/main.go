// SPDX-License-Identifier: Apache-2.0

// Command waiting measures what it costs to wait: the processor time, memory and
// requests of each waiter while IMDS does not come up, once refusing
// connections and once answering 503, all at the same time.
//
// It prints Markdown. A missed target is told, and is an error with -enforce
// only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/scratch"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "waiting: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("waiting", flag.ContinueOnError)
	howLong := flags.Duration("for", time.Minute, "how long to wait")
	out := flags.String("out", "", "write the Markdown to this file too")
	enforce := flags.Bool("enforce", false, "exit 1 when a target is missed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *howLong <= 0 || flags.NArg() > 0 {
		return errors.New("-for is above 0, and there are no arguments")
	}
	dir, remove, err := scratch.Dir()
	if err != nil {
		return err
	}
	defer remove()
	result := outcome{howLong: *howLong, head: report.Head("What waiting costs", "go run ./waiting", args)}
	simulator, all, err := waiters.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	if result.waits, err = waitAll(ctx, dir, simulator, *howLong, all); err != nil {
		return err
	}
	var text strings.Builder
	if err := result.write(&text); err != nil {
		return err
	}
	if err := report.Deliver(text.String(), stdout, *out); err != nil {
		return err
	}
	if *enforce && report.Missed(result.targets()) {
		return report.ErrMissed
	}
	return nil
}
