// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"errors"
	"time"
)

// hedged makes a request, and the same once more on a second connection when
// the first was sent and has had no answer for a while: an IMDS that is just
// coming up may never answer what it took in its first moments, and answer a
// new request at once. The first answer of any status counts; a side that fails
// leaves the other waited for. Both end readTimeout after the first was sent,
// with the first one's error.
//
// The first runs right here, so that the usual failure, no connection at all,
// costs no goroutine.
func (c *Client) hedged(ctx context.Context, r request) (*answer, *Error) {
	if c.SecondPUT == 0 || c.SecondPUT >= c.readTimeout() {
		return c.do(ctx, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var timer *time.Timer
	second := make(chan result, 1)
	first := r
	first.sent = func() {
		end := time.Now().Add(c.readTimeout())
		timer = time.AfterFunc(c.SecondPUT, func() {
			until, done := context.WithDeadline(ctx, end)
			defer done()
			a, err := c.do(until, r)
			second <- result{a, err}
			if whole(err) {
				cancel() // the first has lost
			}
		})
	}
	a, err := c.do(ctx, first)
	if timer == nil || timer.Stop() { // there is no second, and will be none
		return a, err
	}
	if whole(err) {
		cancel() // the second has lost, and ends with its attempt
	}
	other := <-second
	if !whole(err) && whole(other.err) {
		return other.answer, other.err
	}
	return a, err
}

// result is what the second request came to.
type result struct {
	answer *answer
	err    *Error
}

// whole reports whether a request had a whole answer, of any status: one that
// broke off or never came to its end is none.
func whole(err *Error) bool {
	return err == nil || err.Status != 0 && (err.Err == nil || errors.Is(err.Err, ErrMalformed) || errors.Is(err.Err, ErrTooLarge))
}
