// SPDX-License-Identifier: Apache-2.0

// Command late measures how long after the network has come up a waiter has
// IMDS: at boot the service is there all the while, but the instance has no
// address yet, and every attempt fails at once (ENETUNREACH).
//
// Each wait has a network namespace of its own, made for it and empty, in which
// the simulator listens and 169.254.169.254 is put on lo late; see package
// netns. It takes root, or a kernel that gives everybody a user namespace.
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
	"github.com/imds-ready/imds-ready/bench/internal/lags"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/scratch"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// options are the flags.
type options struct {
	outages, again, parallel int
	shortest, longest, over  time.Duration
	json                     string
	report.Options
}

func main() { os.Exit(command.Run("late", netns.Either(run, inside))) }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("late", flag.ContinueOnError)
	flags.IntVar(&o.outages, "n", 20, "waits, evenly from the shortest to the longest")
	flags.IntVar(&o.again, "again", 3, "times that imds-ready waits each; the others wait it once")
	flags.IntVar(&o.parallel, "parallel", 4, "waits at the same time, each in a namespace of its own")
	flags.DurationVar(&o.shortest, "shortest", 2*time.Second, "the shortest time without the address")
	flags.DurationVar(&o.longest, "longest", 4*time.Second, "the longest time without the address")
	flags.DurationVar(&o.over, "over", 10*time.Second, "after the address is there, the longest that is waited for a waiter")
	o.Flags(flags, true)
	flags.StringVar(&o.json, "json", "", "write the rows as JSON to this file, for the plot")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.outages < 1 || o.again < 1 || o.parallel < 1 || o.shortest <= 0 || o.longest < o.shortest || flags.NArg() > 0 {
		return o, errors.New("-n, -again and -parallel are 1 or more, -shortest is above 0 and not above -longest, and there are no arguments")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, remove, err := scratch.Dir()
	if err != nil {
		return err
	}
	defer remove()
	head := report.Head("A late address", "go run ./late", args) // before there is load of our own
	if _, _, err := waiters.Build(ctx, filepath.Join(dir, "bin")); err != nil {
		return err // the namespaces have no network to fetch a module from
	}
	trials, err := sweep(ctx, o, dir)
	if err != nil {
		return err
	}
	result := outcome{head: head, options: o, trials: trials}
	if err := lags.Save(o.json, result.rows()); err != nil {
		return err
	}
	return o.Deliver(stdout, result.write, result.targets())
}
