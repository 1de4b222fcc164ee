// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// kinds are the outages, as schedules have them.
func kinds() []string { return []string{"refuse", "blackhole", "hang", "503"} }

// trial is one waiter in one outage.
type trial struct {
	of     waiters.Waiter
	kind   string
	outage time.Duration
	// lag is from IMDS up to ready; it means nothing when gaveUp or stuck.
	lag time.Duration
	// gaveUp is a waiter that ended without the document, stuck one that was
	// still at it when nobody waited for it any more.
	gaveUp, stuck bool
	counts        sim.Counts
}

// sweep runs every waiter through every outage.
type sweep struct {
	options
	dir, simulator string
}

// outagesOf are spread evenly.
func (s sweep) outagesOf() []time.Duration {
	all := []time.Duration{s.shortest}
	for i := range s.outages - 1 {
		step := (s.longest - s.shortest) / time.Duration(s.outages-1)
		all = append(all, s.shortest+time.Duration(i+1)*step)
	}
	return all
}

// times is how often a waiter meets each outage.
func (s sweep) times(w waiters.Waiter) int {
	if w.Name == waiters.Daemon {
		return s.again
	}
	return 1
}

// run does some trials at a time: waiting takes little processor time. Their
// order is mixed, always in the same way: were it not, those under way together
// would see IMDS come up together, and wait for each other's processor time. The
// first error ends it.
func (s sweep) run(ctx context.Context, each []waiters.Waiter) ([]trial, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all []trial
	for _, outage := range s.outagesOf() {
		for _, kind := range kinds() {
			for _, w := range each {
				for range s.times(w) {
					all = append(all, trial{of: w, kind: kind, outage: outage})
				}
			}
		}
	}
	places := make(chan struct{}, s.parallel)
	var running sync.WaitGroup
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(all)) {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			t := &all[i]
			if err := s.try(ctx, t, filepath.Join(s.dir, fmt.Sprint(i))); err != nil {
				cancel(fmt.Errorf("%s through %s for %v: %w", t.of.Name, t.kind, t.outage, err))
			}
		})
	}
	running.Wait()
	return all, context.Cause(ctx)
}

// errOver cuts a waiter that takes too long.
var errOver = errors.New("still waiting")

// try is one trial, in a directory that is removed again.
func (s sweep) try(ctx context.Context, t *trial, dir string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := sim.Start(ctx, s.simulator, "-schedule", fmt.Sprintf("%s:%v,ok", t.kind, t.outage))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	p, err := t.of.Program(dir, server.URL)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, t.outage+s.over, errOver)
	defer cancel()
	r, err := process.Run(limited, p)
	switch {
	case errors.Is(err, errOver):
		t.stuck = true
		return nil
	case err != nil:
		return err
	case r.Code != 0 || t.of.SaysReady && r.Ready == 0:
		t.gaveUp = true
	}
	took := r.Exit
	if t.of.SaysReady {
		took = r.Ready
	}
	up := server.Hello.Start + t.outage.Seconds()
	t.lag = time.Duration((sim.Monotonic(r.Started.Add(took)) - up) * float64(time.Second))
	if !t.gaveUp && t.lag < 0 {
		return fmt.Errorf("ready %v before IMDS was up: the simulator keeps no time", -t.lag)
	}
	t.counts, err = server.Take()
	return err
}
