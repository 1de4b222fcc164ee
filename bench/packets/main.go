// SPDX-License-Identifier: Apache-2.0

// Command packets counts what a crawl sends. A network interface of an instance
// may send 1024 packets a second to link-local addresses, IMDS and the resolver
// together; what is above that is lost without a trace. The largest instances
// have 15 interfaces, 400 paths, so a crawl has to be paced to stay below.
//
// The daemon and the simulator each have a network namespace, made for them,
// and a veth pair between; see package netns. It takes root, or a kernel that
// gives everybody a user namespace, and the programs ip and nsenter.
//
// It prints Markdown. A missed target is told, and is an error with -enforce
// only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/imds-ready/imds-ready/bench/internal/command"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/scratch"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// options are the flags.
type options struct {
	crawls, interfaces int
	report.Options
}

func main() { os.Exit(command.Run("packets", netns.Either(run, inside))) }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("packets", flag.ContinueOnError)
	flags.IntVar(&o.crawls, "n", 5, "crawls under each configuration")
	flags.IntVar(&o.interfaces, "interfaces", 17, "network interfaces besides the tree's two; 17 make 400 paths")
	o.Flags(flags, true)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.crawls < 1 || o.interfaces < 0 || flags.NArg() > 0 {
		return o, errors.New("-n is 1 or more, -interfaces 0 or more, and there are no arguments")
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
	head := report.Head("Packets of a crawl", "go run ./packets", args)
	bin := filepath.Join(dir, "bin")
	if _, _, err := waiters.Build(ctx, bin); err != nil {
		return err // the namespaces have no network to fetch a module from
	}
	result := outcome{head: head, options: o}
	for i := range configurations() {
		for k := range o.crawls {
			own := filepath.Join(dir, fmt.Sprint(i, "-", k))
			if err := os.Mkdir(own, 0o755); err != nil {
				return err
			}
			out, err := netns.Output(ctx, "-bin", bin, "-dir", own, "-config", fmt.Sprint(i), "-interfaces", fmt.Sprint(o.interfaces))
			if err != nil {
				return err
			}
			var c crawl
			if err := json.Unmarshal(out, &c); err != nil {
				return fmt.Errorf("reading what a crawl came to: %w", err)
			}
			result.crawls = append(result.crawls, c)
		}
	}
	return o.Deliver(stdout, result.write, result.targets())
}
