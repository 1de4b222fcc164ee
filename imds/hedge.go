// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"errors"
	"time"
)

// hedged makes a request, and makes it again on a second connection if the first
// was sent and is not answered for a while. An IMDS that is just coming up may
// never answer a request that it accepted in its first moments, and answer a
// new one at once. The first complete answer of any status counts; if one request
// fails, hedged keeps waiting for the other. Both end when the read timeout of
// the first is over, with the first one's error.
//
// The first request runs on the calling goroutine, so that the usual failure, no
// connection at all, costs no goroutine.
func (c *Client) hedged(ctx context.Context, r request) (*answer, *Error) {
	if t := r.timeouts; t.Hedge == 0 || t.Hedge >= t.Read {
		return c.do(ctx, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var timer *time.Timer
	second := make(chan result, 1)
	first := r
	first.sent = func() {
		end := time.Now().Add(r.timeouts.Read)
		timer = time.AfterFunc(r.timeouts.Hedge, func() {
			until, done := context.WithDeadline(ctx, end)
			defer done()
			a, err := c.do(until, r)
			second <- result{a, err}
			if complete(err) {
				cancel() // the first has lost
			}
		})
	}
	a, err := c.do(ctx, first)
	if timer == nil || timer.Stop() { // the second request was never begun
		return a, err
	}
	if complete(err) {
		cancel() // the second has lost
	}
	other := <-second
	if !complete(err) && complete(other.err) {
		return other.answer, other.err
	}
	return a, err
}

// result is the outcome of the second request.
type result struct {
	answer *answer
	err    *Error
}

// complete reports whether a request ended in a complete answer of any status, as
// opposed to one that broke off or timed out.
func complete(err *Error) bool {
	return err == nil || err.Status != 0 && (err.Err == nil || errors.Is(err.Err, ErrMalformed) || errors.Is(err.Err, ErrTooLarge))
}
