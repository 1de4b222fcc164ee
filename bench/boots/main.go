// SPDX-License-Identifier: Apache-2.0

// Command boots plays thousands of boots against policies, in virtual time: no
// process, no socket, no waiting. Each boot meets an outage drawn from a
// distribution that is stated in the report; every policy meets the same ones.
// What is told is the lag from IMDS up to the identity document had, the
// requests, and how many boots give up.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/imds-ready/imds-ready/bench/internal/command"
	"github.com/imds-ready/imds-ready/bench/internal/report"
)

func main() { os.Exit(command.Run("boots", run)) }

func run(_ context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("boots", flag.ContinueOnError)
	n := flags.Int("n", 10_000, "boots")
	seed := flags.Uint64("seed", 1, "for the outages; the jitter of the pauses is always new")
	var options report.Options
	options.Flags(flags, false)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *n < 1 || flags.NArg() > 0 {
		return errors.New("-n is 1 or more, and there are no arguments")
	}
	outages := make([]outage, *n)
	random := rand.New(rand.NewPCG(*seed, 0))
	for i := range outages {
		outages[i] = draw(random)
	}
	title := fmt.Sprintf("%d boots, in virtual time", *n)
	result := outcome{head: report.Head(title, "go run ./boots", args), outages: outages}
	for _, c := range contestants() {
		result.add(c)
	}
	return options.Deliver(stdout, result.write, nil)
}
