// SPDX-License-Identifier: Apache-2.0

// Command lag measures how long after IMDS has come up a waiter knows it: the
// daemon, to READY=1 with the whole tree written; the AWS SDK for Go, with its
// defaults and made patient, and a loop around curl, to the exit with the
// identity document had. Each waits through outages of a sweep of lengths, in
// which IMDS refuses connections, drops them, accepts them and does not answer,
// or answers 503.
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
	"github.com/imds-ready/imds-ready/bench/internal/program"
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

func main() { os.Exit(command.Run("lag", run)) }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("lag", flag.ContinueOnError)
	flags.IntVar(&o.outages, "n", 24, "outages of each kind, evenly from the shortest to the longest")
	flags.IntVar(&o.again, "again", 4, "times that imds-ready meets each outage, as the targets are about its quantiles; the others meet it once")
	flags.DurationVar(&o.shortest, "shortest", 2*time.Second, "the shortest outage")
	flags.DurationVar(&o.longest, "longest", 4*time.Second, "the longest outage")
	flags.DurationVar(&o.over, "over", 10*time.Second, "after the end of the outage, the longest that is waited for a waiter")
	flags.IntVar(&o.parallel, "parallel", 6, "waiters that wait at the same time, each for a simulator of its own")
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
	head := report.Head("Lag: from IMDS up to ready", "go run ./lag", args) // before there is load of our own
	simulator, all, err := waiters.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	trials, err := sweep{options: o, dir: dir, simulator: simulator}.run(ctx, all)
	if err != nil {
		return err
	}
	result := outcome{head: head, options: o, waiters: all, trials: trials}
	if result.sdk, err = program.Version(ctx, "github.com/aws/aws-sdk-go-v2/feature/ec2/imds"); err != nil {
		return err
	}
	if err := lags.Save(o.json, result.rows("")); err != nil {
		return err
	}
	return o.Deliver(stdout, result.write, result.targets())
}
