// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// wait is one waiter, by its place in all, and how long it has no address.
type wait struct {
	waiter int
	outage time.Duration
}

// waits are all that have to be done. Their lengths are spread evenly, a
// waiter's that waits several times each too: none twice the same.
func waits(o options) []wait {
	var list []wait
	for i, w := range all("") {
		n := o.outages
		if w.Name == waiters.Daemon {
			n *= o.again
		}
		for k := range n {
			outage := o.shortest
			if n > 1 {
				outage += (o.longest - o.shortest) * time.Duration(k) / time.Duration(n-1)
			}
			list = append(list, wait{waiter: i, outage: outage})
		}
	}
	return list
}

// sweep does them, some at a time and in mixed order, always the same: those
// that see the address at the same moment would wait for each other's processor
// time. The first error ends it.
func sweep(ctx context.Context, o options, dir string) ([]lags.Trial, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := waits(o)
	trials := make([]lags.Trial, len(list))
	places := make(chan struct{}, o.parallel)
	var running sync.WaitGroup
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(list)) {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			var err error
			if trials[i], err = list[i].run(ctx, o, dir, filepath.Join(dir, fmt.Sprint(i))); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return trials, context.Cause(ctx)
}

// run is one wait in a new namespace.
func (w wait) run(ctx context.Context, o options, dir, own string) (t lags.Trial, err error) {
	if err := os.Mkdir(own, 0o755); err != nil {
		return t, err
	}
	out, err := netns.Output(
		ctx, "-bin", filepath.Join(dir, "bin"), "-dir", own, "-waiter", fmt.Sprint(w.waiter),
		"-outage", w.outage.String(), "-over", o.over.String(),
	)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return t, fmt.Errorf("reading what a wait came to: %w", err)
	}
	return t, nil
}
