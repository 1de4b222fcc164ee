// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"
)

const (
	// HeadStart is how long the first endpoint of a race is tried alone. The
	// second follows earlier if the first fails. RFC 8305 recommends 250 ms across
	// the Internet; the hypervisor is less than 1 ms away.
	HeadStart = 150 * time.Millisecond
	// Patience is how long a race waits for the second endpoint after the first has
	// answered without a token.
	Patience = 250 * time.Millisecond
)

func (c *Client) endpoints() []string {
	if len(c.Endpoints) == 0 {
		return []string{EndpointIPv4}
	}
	return c.Endpoints
}

// candidates returns the endpoints to request a token from: the winner of an
// earlier race, or all whose family the kernel has.
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

// outcome is how one side of a race ended.
type outcome struct {
	side  int
	token *token
	err   *Error
}

// SecondConnect returns how long the second endpoint of a race may take to connect: half
// of the connect timeout. A family that drops every packet must not slow down the attempts
// at the other one.
func (t Timeouts) SecondConnect() time.Duration { return t.withDefaults().Connect / 2 }

// race requests a token from every candidate. Only a token settles it: an answer
// without one may come from a family that is half configured. Once the first
// endpoint has answered without a token, the second has [Patience] left; once the
// second has, the first keeps its full timeouts, because it may only be late.
// Without a token, the error is the first endpoint's, with the second's in Other.
func (c *Client) race(ctx context.Context, t Timeouts, f *flight) (*token, *Error) {
	endpoints := c.candidates()
	if len(endpoints) == 1 {
		tok, err := c.put(ctx, t, endpoints[0], f)
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
		side, t := started, t
		if side > 0 {
			t.Connect = t.SecondConnect()
		}
		started++
		pending++
		go func() {
			tok, err := c.put(ctx, t, endpoints[side], f)
			outcomes <- outcome{side, tok, err}
		}()
	}
	defer func() { // the loser must not outlive the race
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
			if failed[0] != nil && failed[0].answered() {
				return nil, failed[0]
			}
			next()
		case o := <-outcomes:
			pending--
			c.settle(ctx, endpoints[o.side], o.err)
			if o.err == nil {
				return o.token, nil
			}
			failed[o.side] = o.err
			next()
			if o.side == 0 && o.err.answered() {
				timer.Reset(Patience)
			}
		}
	}
	return nil, joined(failed[0], failed[1])
}

// joined is the error of a race that both sides lost. A family that the kernel
// lacks takes no part.
func joined(first, second *Error) *Error {
	switch {
	case errors.Is(second, syscall.EAFNOSUPPORT):
		return first
	case errors.Is(first, syscall.EAFNOSUPPORT):
		return second
	}
	err := *first
	err.Other = second
	return &err
}

// settle records what a PUT proves about its endpoint. A PUT that was cut proves
// nothing.
func (c *Client) settle(ctx context.Context, endpoint string, err *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || err.Status != 0 {
		c.answered = endpoint
	}
	switch {
	case err == nil:
		if len(c.endpoints()) > 1 {
			c.winner = endpoint
		}
	case errors.Is(err, syscall.EAFNOSUPPORT) && !slices.Contains(c.lacking, endpoint):
		c.lacking = append(c.lacking, endpoint)
	case c.winner == endpoint && ctx.Err() == nil:
		c.winner = ""
	}
}
