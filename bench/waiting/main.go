// SPDX-License-Identifier: Apache-2.0

// Command waiting measures what it costs to wait: the processor time, memory and
// packets of each waiter while IMDS does not come up, refusing connections or
// answering 503, all at the same time. The daemon alone also waits while
// addresses come and go, each of which could wake it.
//
// Each wait has a network namespace of its own, so that lo has its packets alone;
// see package netns. It takes root, or a kernel that gives everybody a user
// namespace.
//
// It prints Markdown. A missed target is told, and is an error with -enforce
// only.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/command"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/program"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/scratch"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

func main() { os.Exit(command.Run("waiting", netns.Either(run, inside))) }

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("waiting", flag.ContinueOnError)
	howLong := flags.Duration("for", time.Minute, "how long to wait")
	var options report.Options
	options.Flags(flags, true)
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
	bin := filepath.Join(dir, "bin")
	if _, _, err := waiters.Build(ctx, bin); err != nil {
		return err // the namespaces have no network to fetch a module from
	}
	if _, err := program.Own(ctx, "dialer", bin); err != nil {
		return err
	}
	if result.waits, err = waitAll(ctx, dir, *howLong); err != nil {
		return err
	}
	return options.Deliver(stdout, result.write, result.targets())
}
