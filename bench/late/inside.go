// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// kind is what this outage is called among those of ./lag.
const kind = "late address"

// address is the real service's, so that the daemon runs as it does on an
// instance, without a url. In these namespaces it is the simulator's.
const address = "169.254.169.254"

// eagerOff is the name of the daemon that sleeps through the event.
const eagerOff = waiters.Daemon + ", eager = false"

// config is the daemon's, on a machine that DMI says is not of EC2.
const config = "[endpoint]\nmode = \"ipv4\"\n\n[ready]\non_not_ec2 = \"try\"\n"

// all are the waiters that are compared.
func all(bin string) []waiters.Waiter {
	compared := []waiters.Waiter{
		waiters.Tuned(bin, waiters.Daemon, config),
		waiters.Tuned(bin, eagerOff, config+"\n[retry]\neager = false\n"),
	}
	for _, w := range waiters.Built(bin) {
		if w.Name != waiters.Daemon && w.Name != waiters.Defaults {
			compared = append(compared, w)
		}
	}
	return compared
}

// inside is one wait, in a namespace that was made for it. It prints a
// lags.Trial as JSON.
func inside(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(netns.Inside, flag.ContinueOnError)
	bin := flags.String("bin", "", "where the programs are")
	dir := flags.String("dir", "", "a directory of its own")
	which := flags.Int("waiter", 0, "which of them")
	outage := flags.Duration("outage", 0, "how long there is no address")
	over := flags.Duration("over", 0, "how long is waited after that")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := netns.Alone(); err != nil { // before anything else
		return err
	}
	if err := netns.Up("lo"); err != nil {
		return err
	}
	w := all(*bin)[*which]
	trial, err := try(ctx, w, *bin, *dir, *outage, *over)
	if err != nil {
		return fmt.Errorf("%s, without an address for %v: %w", w.Name, *outage, err)
	}
	return json.NewEncoder(stdout).Encode(trial)
}

// errOver cuts a waiter that takes too long.
var errOver = errors.New("still waiting")

// try starts the simulator, then the waiter, and after the outage adds the
// address. The lag begins before that system call.
func try(ctx context.Context, w waiters.Waiter, bin, dir string, outage, over time.Duration) (t lags.Trial, err error) {
	t = lags.Trial{Kind: kind, Waiter: w.Name}
	server, err := sim.Start(ctx, filepath.Join(bin, "simulator"), "-listen", "0.0.0.0:80")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	p, err := w.Program(dir, "http://"+address)
	if err != nil {
		return t, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, outage+over, errOver)
	defer cancel()
	type added struct {
		at  time.Time
		err error
	}
	came := make(chan added, 1)
	late := time.AfterFunc(outage, func() {
		now := time.Now()
		came <- added{now, netns.Add("lo:1", netip.MustParseAddr(address))}
	})
	r, err := process.Run(limited, p)
	if late.Stop() { // it ended before there was anything to have
		t.GaveUp = true
		return t, err
	}
	network := <-came
	switch {
	case network.err != nil:
		return t, network.err
	case errors.Is(err, errOver):
		t.Stuck = true
		return t, nil
	case err != nil:
		return t, err
	case r.Code != 0 || w.SaysReady && r.Ready == 0:
		t.GaveUp = true
		return t, nil
	}
	took := r.Exit
	if w.SaysReady {
		took = r.Ready
	}
	if t.Lag = r.Started.Add(took).Sub(network.at); t.Lag < 0 {
		return t, fmt.Errorf("ready %v before there was an address; it printed:\n%s", -t.Lag, r.Tail())
	}
	return t, nil
}
