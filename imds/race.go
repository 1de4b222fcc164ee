// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"
)

// HeadStart is how long the first endpoint has before the second is tried
// too, unless it fails before (RFC 8305 recommends 250 ms across the Internet;
// the hypervisor is under 1 ms away).
const HeadStart = 150 * time.Millisecond

func (c *Client) endpoints() []string {
	if len(c.Endpoints) == 0 {
		return []string{EndpointIPv4}
	}
	return c.Endpoints
}

// candidates returns the endpoints to ask for a token: the winner of an
// earlier race, else all whose family the kernel has.
func (c *Client) candidates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.winner != "" {
		return []string{c.winner}
	}
	all := slices.DeleteFunc(slices.Clone(c.endpoints()), func(e string) bool {
		return slices.Contains(c.lacking, e)
	})
	if len(all) == 0 {
		return c.endpoints()
	}
	return all
}

// outcome is what one side of a race came to.
type outcome struct {
	side  int
	token *token
	err   *Error
}

// race gets a token from the first endpoint that answers at all.
func (c *Client) race(ctx context.Context, f *flight) (*token, *Error) {
	endpoints := c.candidates()
	if len(endpoints) == 1 {
		tok, err := c.put(ctx, endpoints[0], f)
		c.settle(ctx, endpoints[0], err)
		return tok, err
	}
	ctx, cancel := context.WithCancel(ctx)
	outcomes := make(chan outcome, len(endpoints))
	started, pending := 0, 0
	next := func() {
		if started == len(endpoints) {
			return
		}
		side := started
		started++
		pending++
		go func() {
			tok, err := c.put(ctx, endpoints[side], f)
			outcomes <- outcome{side, tok, err}
		}()
	}
	defer func() { // the loser ends with the race
		cancel()
		for range pending {
			<-outcomes
		}
	}()
	next()
	timer := time.NewTimer(HeadStart)
	defer timer.Stop()
	failed := make([]*Error, len(endpoints))
	for started < len(endpoints) || pending > 0 {
		select {
		case <-timer.C:
			next()
		case o := <-outcomes:
			pending--
			c.settle(ctx, endpoints[o.side], o.err)
			if o.err == nil || o.err.Status != 0 {
				return o.token, o.err
			}
			failed[o.side] = o.err
			next()
		}
	}
	err := *failed[0]
	err.Other = failed[1]
	return nil, &err
}

// settle notes what a PUT has shown of its endpoint. One that was cut has shown
// nothing.
func (c *Client) settle(ctx context.Context, endpoint string, err *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil || err.Status != 0:
		c.answered = endpoint
		if len(c.endpoints()) > 1 {
			c.winner = endpoint
		}
	case errors.Is(err, syscall.EAFNOSUPPORT) && !slices.Contains(c.lacking, endpoint):
		c.lacking = append(c.lacking, endpoint)
	case !err.answered() && c.winner == endpoint && ctx.Err() == nil:
		c.winner = ""
	}
}
