// SPDX-License-Identifier: Apache-2.0

// Command simulator is the IMDS of the benchmarks: package imdstest on a socket, on loopback by default, in a process of
// its own. Unlike cmd/imds-sim, it is exact with latencies below a millisecond and counts its requests. It prints a
// sim.Hello as JSON, answers each line on standard input with the sim.Counts since the last one, and exits at its end.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/bench/internal/report"
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
	var schedules, addresses []string
	var changes []imdstest.Change
	add := func(to *[]string) func(string) error {
		return func(value string) error {
			*to = append(*to, value)
			return nil
		}
	}
	flags.Func("schedule", "faults, in the syntax of imds-sim; repeat it for schedules that run side by side", add(&schedules))
	flags.Func("change", "PATH=D=BODY: the path has this body from the time D on, repeatable", func(s string) error {
		path, rest, _ := strings.Cut(s, "=")
		after, body, _ := strings.Cut(rest, "=")
		at, err := time.ParseDuration(after)
		changes = append(changes, imdstest.Change{Path: path, At: at, Body: body})
		return err
	})
	delay := flags.Duration("latency", 0, "the time that every answer takes")
	interfaces := flags.Int("interfaces", 0, "network interfaces to add to the two of the default tree")
	flags.Func("listen", "address (127.0.0.1:0), repeatable; outside loopback only in a network namespace without a default route", add(&addresses))
	if err := flags.Parse(args); err != nil {
		return err
	}
	server := imdstest.New(grow(imdstest.DefaultTree(), *interfaces))
	server.Changes = changes
	for _, schedule := range schedules {
		phases, err := imdstest.ParseSchedule(schedule)
		if err != nil {
			return fmt.Errorf("-schedule: %w", err)
		}
		server.Also(phases...)
	}
	if len(addresses) == 0 {
		addresses = []string{"127.0.0.1:0"}
	}
	hold := calibrate(*delay)
	server.OnRequest = func(r imdstest.Request) {
		if r.Kind != "SYN" { // the kernel accepts connections; only answers are held back
			hold.wait()
		}
	}
	hello := sim.Hello{Latency: median(hold.wait).Seconds(), Start: sim.Monotonic(time.Now())}
	for _, address := range addresses {
		url, err := server.Listen(address)
		if err != nil {
			return errors.Join(err, server.Close())
		}
		hello.URL = cmp.Or(hello.URL, url)
	}
	out := json.NewEncoder(stdout)
	err := out.Encode(hello)
	seen := 0
	for questions := bufio.NewScanner(stdin); questions.Scan() && err == nil; {
		requests := server.Requests()
		err = out.Encode(count(requests[seen:]))
		seen = len(requests)
	}
	return errors.Join(err, server.Close())
}

func count(requests []imdstest.Request) sim.Counts {
	var times []time.Duration
	n := map[string]int{}
	for _, r := range requests {
		n[r.Kind]++
		times = append(times, r.At)
	}
	return sim.Counts{PUTs: n["PUT"], GETs: n["GET"], Others: len(requests) - n["PUT"] - n["GET"], Peak: report.Busiest(times)}
}

// grow adds copies of the default tree's second network interface. Interfaces are how an instance gets hundreds of paths.
func grow(tree imdstest.Tree, interfaces int) imdstest.Tree {
	const macs = "meta-data/network/interfaces/macs/"
	grown := tree.Clone()
	for i := range interfaces {
		mac := fmt.Sprintf("06:2f:8e:78:%02x:%02x", i>>8&0xff, i&0xff)
		own := map[string]string{"mac": mac, "device-number": fmt.Sprint(i + 2), "interface-id": fmt.Sprintf("eni-0a1b2c3d4e6f%05x", i)}
		for path, body := range tree {
			if below, ok := strings.CutPrefix(path, macs+"06:2f:8e:77:19:b4/"); ok {
				grown[macs+mac+"/"+below] = cmp.Or(own[below], body)
			}
		}
	}
	return grown
}

// latency holds answers back. A timer of the Go runtime is too coarse below a millisecond: an idle process sleeps in
// epoll_wait, which counts whole milliseconds, and makes 1.2 ms out of 300 microseconds (measured). nanosleep is late by
// a nearly constant time, which is subtracted.
type latency struct{ want, late time.Duration }

// calibrate measures how late nanosleep is on this machine.
func calibrate(want time.Duration) latency {
	trial := latency{want: 200 * time.Microsecond}
	return latency{want, median(trial.wait) - trial.want}
}

// wait blocks the thread of the goroutine for about the wanted time.
func (l latency) wait() {
	if d := l.want - l.late; d > 0 {
		left := unix.NsecToTimespec(d.Nanoseconds())
		for unix.Nanosleep(&left, &left) == unix.EINTR {
		}
	}
}

// median returns the median of the time that a function takes.
func median(do func()) time.Duration {
	took := make([]time.Duration, 65)
	for i := range took {
		start := time.Now()
		do()
		took[i] = time.Since(start)
	}
	return report.Quantile(took, 0.5)
}
