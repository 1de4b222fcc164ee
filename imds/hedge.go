// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"errors"
	"sync"
	"time"
)

// MaxPUTs is how many token requests one call makes to one endpoint at most, if
// Timeouts.Hedge has them repeated, each on a connection of its own.
const MaxPUTs = 4

// hedged makes a request, and repeats it on another connection each time that it is not
// answered within Timeouts.Hedge. An IMDS that is just coming up may never answer a
// request that it accepted in its first moments, and answer a new one at once. The
// first complete answer of any status counts. If a request fails, hedged waits for the
// others. All of them end with the read timeout of the first, whose error is returned.
//
// The first request runs on the calling goroutine, so that the usual failure, no
// connection at all, costs no goroutine.
func (c *Client) hedged(ctx context.Context, r request) (*answer, *Error) {
	if t := r.timeouts; t.Hedge <= 0 || t.Hedge >= t.Read {
		return c.do(ctx, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := hedge{client: c, request: r, cancel: cancel, results: make(chan result, MaxPUTs)}
	first := r
	first.sent = func() {
		h.end = time.Now().Add(r.timeouts.Read)
		h.schedule(ctx)
	}
	a, err := c.do(ctx, first)
	running := h.stop()
	if complete(err) {
		cancel()
	}
	for range running {
		if other := <-h.results; !complete(err) && complete(other.err) {
			a, err = other.answer, other.err
			cancel()
		}
	}
	return a, err
}

// hedge is the state of a request that is repeated.
type hedge struct {
	client  *Client
	request request
	cancel  context.CancelFunc // ends all requests
	end     time.Time          // of all requests
	results chan result

	mu      sync.Mutex // not held while waiting
	timer   *time.Timer
	running int
	stopped bool
}

// result is the outcome of a repeated request.
type result struct {
	answer *answer
	err    *Error
}

// schedule repeats the request after Timeouts.Hedge.
func (h *hedge) schedule(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped && h.running < MaxPUTs-1 {
		h.timer = time.AfterFunc(h.request.timeouts.Hedge, func() { h.repeat(ctx) })
	}
}

// repeat makes the request once more.
func (h *hedge) repeat(ctx context.Context) {
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return
	}
	h.running++
	h.mu.Unlock()
	h.schedule(ctx)
	until, done := context.WithDeadline(ctx, h.end)
	defer done()
	a, err := h.client.do(until, h.request)
	if complete(err) {
		h.stop()
		h.cancel() // the others have lost
	}
	h.results <- result{a, err}
}

// stop ends the repetition and returns how many repeated requests were started.
func (h *hedge) stop() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
	return h.running
}

// complete reports whether a request ended in a complete answer of any status, as
// opposed to one that broke off or timed out.
func complete(err *Error) bool {
	return err == nil || err.Status != 0 && (err.Err == nil || errors.Is(err.Err, ErrMalformed) || errors.Is(err.Err, ErrTooLarge))
}
