// SPDX-License-Identifier: Apache-2.0

// Command startup measures how long it takes from the start of a process until
// the whole metadata tree is there, with IMDS up: imds-ready, up to READY=1,
// against a program that crawls the same tree with the AWS SDK for Go, up to its
// exit. Both are run in turn, so that their ratio holds on a noisy machine.
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
	"path/filepath"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/command"
	"github.com/imds-ready/imds-ready/bench/internal/program"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/scratch"
)

// options are the flags.
type options struct {
	rounds, warmup int
	timeout        time.Duration
	scenes         []scene
	also           []string
	report.Options
}

func main() { os.Exit(command.Run("startup", run)) }

func parse(args []string) (options, error) {
	var o options
	one := standard()
	flags := flag.NewFlagSet("startup", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "n", 40, "rounds that count; each runs every program once")
	flags.IntVar(&o.warmup, "warmup", 3, "rounds before, that do not count")
	flags.DurationVar(&one.latency, "latency", one.latency, "how long the simulator takes for an answer")
	flags.IntVar(&one.interfaces, "interfaces", one.interfaces, "network interfaces to add to the tree, 17 paths each")
	flags.BoolVar(&one.identity, "identity", one.identity, "get the identity document only")
	all := flags.Bool("all", false, "the identity document and the tree at several latencies, and a tree of 400 paths")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "the longest that one run may take")
	flags.Func("also", "another build of imds-ready to run beside, such as the one before a change; repeatable", func(path string) error {
		o.also = append(o.also, path)
		return nil
	})
	o.Flags(flags, true)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.warmup < 0 || one.interfaces < 0 || flags.NArg() > 0 {
		return o, errors.New("-n is 1 or more, -warmup and -interfaces 0 or more, and there are no arguments")
	}
	o.scenes = []scene{one}
	if *all {
		o.scenes = scenes()
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
	head := report.Head("From start to ready, IMDS up", "go run ./startup", args) // before there is load of our own
	result, err := measure(ctx, o, dir)
	if err != nil {
		return err
	}
	result.head = head
	return o.Deliver(stdout, result.write, result.targets())
}

// measure builds the programs and plays every scene.
func measure(ctx context.Context, o options, dir string) (*outcome, error) {
	var b builds
	var err error
	bin := filepath.Join(dir, "bin")
	if b.daemon, err = program.Daemon(ctx, bin); err != nil {
		return nil, err
	}
	if b.crawler, err = program.Own(ctx, "crawler", bin); err != nil {
		return nil, err
	}
	if b.simulator, err = program.Own(ctx, "simulator", bin); err != nil {
		return nil, err
	}
	result := &outcome{options: o}
	for _, s := range o.scenes {
		played, err := s.play(ctx, o, b, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		result.played = append(result.played, played)
	}
	result.sdk, err = program.Version(ctx, "github.com/aws/aws-sdk-go-v2/feature/ec2/imds")
	return result, err
}
