// SPDX-License-Identifier: Apache-2.0

// Command boots plays thousands of boots against policies, in virtual time: no
// process, no socket, no waiting. Each boot meets an outage drawn from a
// distribution that is stated in the report; every policy meets the same ones.
// What is told is the lag from IMDS up to the identity document had, the
// requests, and how many boots give up.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/imds-ready/imds-ready/bench/internal/report"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "boots: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("boots", flag.ContinueOnError)
	n := flags.Int("n", 10_000, "boots")
	seed := flags.Uint64("seed", 1, "for the outages; the jitter of the pauses is always new")
	out := flags.String("out", "", "write the Markdown to this file too")
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
	var text strings.Builder
	if err := result.write(&text); err != nil {
		return err
	}
	return report.Deliver(text.String(), stdout, *out)
}
