// SPDX-License-Identifier: Apache-2.0

// Command simulator is the IMDS that the benchmarks run against: package
// imdstest on a socket, on loopback unless told otherwise, in a process of its own. It differs from
// cmd/imds-sim in three things: its latency is true below a millisecond, it
// counts what it was asked, and it ends with whoever started it.
//
// Its first line on standard output is a JSON object: url, latency_seconds (what
// an answer is really held back by, measured) and start_seconds (when the
// schedule began, on CLOCK_MONOTONIC). Each line on standard input is answered
// by what was counted since the last one; end of file ends the program.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/imds/imdstest"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "simulator: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	schedule := flags.String("schedule", "", "faults, as imds-sim takes them")
	delay := flags.Duration("latency", 0, "how long every answer takes")
	interfaces := flags.Int("interfaces", 0, "network interfaces to add to the two of the default tree")
	listen := flags.String("listen", "127.0.0.1:0", "where; beyond loopback only in a network namespace without a default route")
	if err := flags.Parse(args); err != nil {
		return err
	}
	phases, err := imdstest.ParseSchedule(*schedule)
	if err != nil {
		return fmt.Errorf("-schedule: %w", err)
	}
	server := imdstest.New(grow(imdstest.DefaultTree(), *interfaces), phases...)
	var seen counter
	hold := calibrate(*delay)
	server.OnRequest = func(r imdstest.Request) {
		seen.add(r.Kind, r.At)
		if r.Kind != "SYN" { // the kernel connects; only answers are late
			hold.wait()
		}
	}
	hello := sim.Hello{Latency: hold.measure().Seconds(), Start: sim.Monotonic(time.Now())}
	if hello.URL, err = server.Listen(*listen); err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	if err := out.Encode(hello); err != nil {
		return fmt.Errorf("telling the address: %w", err)
	}
	questions := bufio.NewScanner(stdin)
	for questions.Scan() {
		if err := out.Encode(seen.take()); err != nil {
			return fmt.Errorf("telling the counts: %w", err)
		}
	}
	return server.Close()
}
