// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"time"
)

// hedged makes a request, and the same once more on a second connection when
// the first was sent and has had no answer for a while: an IMDS that is just
// coming up may never answer what it took in its first moments, and answer a
// new request at once. The first answer of any status counts; a side that fails
// leaves the other waited for. Both end readTimeout after the first was sent,
// with the first one's error.
func (c *Client) hedged(ctx context.Context, r request) (*answer, *Error) {
	if c.SecondPUT == 0 || c.SecondPUT >= c.readTimeout() {
		return c.do(ctx, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result, 2)
	pending := 0
	start := func(ctx context.Context, r request, first bool) {
		pending++
		go func() {
			a, err := c.do(ctx, r)
			results <- result{a, err, first}
		}()
	}
	defer func() { // the loser ends with its attempt
		cancel()
		for range pending {
			<-results
		}
	}()
	sent := make(chan time.Time, 1)
	first := r
	first.sent = func() { sent <- time.Now() }
	start(ctx, first, true)

	var second <-chan time.Time // a timer, once the first is sent
	var end time.Time
	var failed *Error
	for pending > 0 {
		select {
		case at := <-sent:
			end = at.Add(c.readTimeout())
			timer := time.NewTimer(c.SecondPUT)
			defer timer.Stop()
			second = timer.C
		case <-second:
			until, done := context.WithDeadline(ctx, end)
			defer done()
			start(until, r, false)
		case res := <-results:
			pending--
			if res.err == nil || res.err.Status != 0 {
				return res.answer, res.err
			}
			if failed == nil || res.first {
				failed = res.err
			}
		}
	}
	return nil, failed
}

// result is what one of the two came to.
type result struct {
	answer *answer
	err    *Error
	first  bool
}
