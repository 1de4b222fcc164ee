// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"sync"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// gate waits for the required paths.
type gate struct {
	config   Config
	source   gather.Source
	progress *progress
	wake     func() <-chan struct{} // as of retry.Getter

	mu      sync.Mutex
	fetched map[string][]byte // bodies by path
}

// pass waits for the identity document alone, then for the other required paths
// together. The first that is given up ends it, with a [*retry.GiveUpError]; a
// signal ends it with the cause of ctx.
func (g *gate) pass(ctx context.Context) error {
	if err := g.fetch(ctx, g.config.Require[0], nil); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var all sync.WaitGroup
	places := make(chan struct{}, g.config.Metadata.Concurrency)
	for _, r := range g.config.Require[1:] {
		all.Go(func() {
			if err := g.fetch(ctx, r, places); err != nil {
				end(err) // the first cause stays
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// fetch waits for one required path. Only its attempts take one of the places,
// if there are any, and not its pauses: a late path delays no other.
func (g *gate) fetch(ctx context.Context, r Require, places chan struct{}) error {
	p := g.config.Policy
	p.MaxAttempts, p.Deadline = r.MaxAttempts, r.Deadline
	getter := retry.Getter{
		Policy: p, Start: g.progress.start, Wake: g.wake, Step: g.progress.step,
		Fetch: func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
			if places != nil {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
				case <-ctx.Done(): // like a connection that was cut
					return nil, &imds.Error{Op: "GET", Path: path, Err: context.Cause(ctx)}
				}
				g.progress.step(retry.LongestAttempt(p)) // the wait for a place may have been long
			}
			return g.source.Check(ctx, t, path)
		},
		Failed: func(f policy.Failure, v policy.Verdict, err error) { g.progress.failed(p.Deadline, f, v, err) },
	}
	body, err := getter.Get(ctx, r.Path)
	if err != nil {
		return err
	}
	g.progress.fetched(r.Path)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fetched[r.Path] = body
	return nil
}
