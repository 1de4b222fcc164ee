// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// kinds are the outages, as schedules have them. On a socket a refused
// connection is not seen, so that only 503 tells the requests.
func kinds() []string { return []string{"refuse", "503"} }

// wait is one waiter that waited in vain.
type wait struct {
	waiter, kind string
	process.Result
	counts sim.Counts
	ended  bool // by itself
}

// waitAll lets every waiter wait through every kind of outage at the same time.
func waitAll(ctx context.Context, dir, simulator string, howLong time.Duration, all []waiters.Waiter) ([]wait, error) {
	var waits []wait
	for _, kind := range kinds() {
		for _, w := range all {
			waits = append(waits, wait{waiter: w.Name, kind: kind})
		}
	}
	errs := make([]error, len(waits))
	var running sync.WaitGroup
	for i := range waits {
		running.Go(func() {
			w := &waits[i]
			if err := w.run(ctx, filepath.Join(dir, fmt.Sprint(i)), simulator, howLong, all[i%len(all)]); err != nil {
				errs[i] = fmt.Errorf("%s, %s: %w", w.waiter, w.kind, err)
			}
		})
	}
	running.Wait()
	return waits, errors.Join(errs...)
}

// errOver is the end of the time to wait.
var errOver = errors.New("waited long enough")

func (w *wait) run(ctx context.Context, dir, simulator string, howLong time.Duration, of waiters.Waiter) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	server, err := sim.Start(ctx, simulator, "-schedule", w.kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	p, err := of.Program(dir, server.URL)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, howLong, errOver)
	defer cancel()
	w.Result, err = process.Run(limited, p)
	w.ended = err == nil
	if err != nil && !errors.Is(err, errOver) {
		return err
	}
	w.counts, err = server.Take()
	return err
}
