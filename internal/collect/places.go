// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"slices"
	"sync"
)

// places bounds how many attempts are under way. First attempts come before retries.
type places struct {
	mu      sync.Mutex // not held while waiting
	free    int
	waiting [2][]chan struct{} // by turn, each in order of arrival
}

// turn is the kind of an attempt, in order of urgency.
type turn int

const (
	first turn = iota
	retried
)

func newPlaces(n int) *places { return &places{free: n} }

// acquire waits for a place, or returns the cause of the end of the context.
func (p *places) acquire(ctx context.Context, t turn) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return nil
	}
	mine := make(chan struct{}, 1)
	p.waiting[t] = append(p.waiting[t], mine)
	p.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.waiting[t], mine)
	if i >= 0 {
		p.waiting[t] = slices.Delete(p.waiting[t], i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // the place came at the same moment, so it is passed on
		p.release()
	}
	return context.Cause(ctx)
}

// release passes a place to the next attempt that waits for one, or frees it.
func (p *places) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t, queue := range p.waiting {
		if len(queue) > 0 {
			p.waiting[t] = queue[1:]
			queue[0] <- struct{}{}
			return
		}
	}
	p.free++
}
