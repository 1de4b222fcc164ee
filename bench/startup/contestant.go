// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/program"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// contestant is a program that collects the tree, and how it did in a scene.
type contestant struct {
	name string
	path string // of the program
	size int64  // of the program, in bytes
	// args makes the command line of a run that has a directory of its own.
	args func(dir string) ([]string, error)
	env  []string
	// product is what a run leaves in its directory.
	product string
	// ready is true for a program that says READY=1.
	ready bool

	results []process.Result
	counts  sim.Counts // of the last round
}

// done is what counts of a run: READY=1, else the exit.
func (c *contestant) done(r process.Result) time.Duration {
	if c.ready {
		return r.Ready
	}
	return r.Exit
}

// builds are the programs.
type builds struct{ daemon, crawler, simulator string }

// many is the processors of a large machine, as far as the Go runtime is
// concerned.
const many = "GOMAXPROCS=64"

// contestants are the daemon, as it comes but for the endpoint, the SDK's two
// crawlers, the daemon on a large machine, and other builds
// of the daemon, in this order.
func contestants(s scene, b builds, url string, others ...string) ([]*contestant, error) {
	all := []*contestant{
		{name: "imds-ready", path: b.daemon, args: s.daemon(url), product: "imds/identity.json", ready: true},
		{name: "SDK, one by one", path: b.crawler, args: s.crawler(url, 1), product: "metadata.json"},
		{name: "SDK, 4 at a time", path: b.crawler, args: s.crawler(url, 4), product: "metadata.json"},
		{name: "imds-ready, " + many, path: b.daemon, args: s.daemon(url), env: []string{many}, product: "imds/identity.json", ready: true},
	}
	for _, other := range others {
		all = append(all, &contestant{name: other, path: other, args: s.daemon(url), product: all[0].product, ready: true})
	}
	for _, c := range all {
		var err error
		if c.size, err = program.Size(c.path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// daemon makes the daemon's command line.
func (s scene) daemon(url string) func(dir string) ([]string, error) {
	text := fmt.Sprintf("[endpoint]\nurl = %q\n", url)
	if s.identity {
		text += "[metadata]\ninclude = []\n"
	}
	return func(dir string) ([]string, error) {
		config := filepath.Join(dir, "imds-ready.toml")
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return []string{"run", "--config", config, "--directory", filepath.Join(dir, "imds")}, nil
	}
}

// crawler makes the SDK crawler's command line.
func (s scene) crawler(url string, concurrency int) func(dir string) ([]string, error) {
	return func(dir string) ([]string, error) {
		return []string{
			"-endpoint", url, "-out", filepath.Join(dir, "metadata.json"),
			"-concurrency", fmt.Sprint(concurrency), fmt.Sprintf("-identity=%t", s.identity),
		}, nil
	}
}
