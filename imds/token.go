// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const tokenPath = "api/token"

// token is a session token and the endpoint that gave it.
type token struct {
	value    string
	endpoint string
	renew    time.Time // with its monotonic reading: a clock step changes nothing
}

// flight is one token request in flight, shared by all calls that wait for it.
type flight struct {
	done      chan struct{}
	cancel    context.CancelFunc
	waiting   int                       // guarded by Client.mu; the last call to leave cancels
	begun     atomic.Pointer[time.Time] // when its first request began
	connected atomic.Bool               // for calls that leave early

	token *token // set before done is closed
	err   *Error
}

// tokenFor returns the token, requesting one if necessary. It also returns when the
// first request for it began, or zero if there was none.
func (c *Client) tokenFor(ctx context.Context, t Timeouts) (*token, time.Time, *Error) {
	c.mu.Lock()
	if c.token != nil && time.Now().Before(c.token.renew) {
		defer c.mu.Unlock()
		return c.token, time.Time{}, nil
	}
	c.token = nil
	f := c.flight
	if f == nil {
		f = c.launch(ctx, t)
	}
	f.waiting++
	c.mu.Unlock()

	defer c.leave(f)
	select {
	case <-f.done:
		return f.token, f.begunAt(), f.err
	case <-ctx.Done():
		// A result that came at the same moment counts.
		select {
		case <-f.done:
			return f.token, f.begunAt(), f.err
		default:
		}
		e := request{method: "PUT", endpoint: c.candidates()[0], path: tokenPath}.fail(context.Cause(ctx))
		if f.begun.Load() == nil {
			e.Err = fmt.Errorf("%w: %w", ErrNotBegun, e.Err)
		}
		e.Connected = f.connected.Load()
		return nil, f.begunAt(), e
	}
}

// begunAt returns when the first request began, or zero.
func (f *flight) begunAt() time.Time {
	if at := f.begun.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// launch starts a token request. It outlives the context of the call that
// started it, but not the last of the calls that wait. c.mu is held.
func (c *Client) launch(ctx context.Context, t Timeouts) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel}
	c.flight = f
	go func() {
		defer close(f.done)
		f.token, f.err = c.race(ctx, t, f)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flight == f {
			c.flight, c.token = nil, f.token
		}
	}()
	return f
}

func (c *Client) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		f.cancel()
		if c.flight == f {
			c.flight = nil
		}
	}
}

// put requests a token from one endpoint.
func (c *Client) put(ctx context.Context, t Timeouts, endpoint string, f *flight) (*token, *Error) {
	ttl := cmp.Or(c.TokenTTL, MaxTokenTTL)
	r := request{
		method: "PUT", endpoint: endpoint, path: tokenPath,
		header: headerTTL, value: strconv.Itoa(int(ttl / time.Second)), limit: maxTokenBytes, timeouts: t,
		begun: func(at time.Time) { f.begun.CompareAndSwap(nil, &at) }, connected: func() { f.connected.Store(true) },
	}
	requested := time.Now()
	a, e := c.hedged(ctx, r)
	if e != nil {
		return nil, e
	}
	if a.status != 200 {
		e := r.fail(nil)
		e.Connected, e.Status = true, a.status
		return nil, e
	}
	tok, err := parseToken(a, requested)
	if err != nil {
		e := r.fail(err)
		e.Connected, e.Status = true, 200
		return nil, e
	}
	tok.endpoint = endpoint
	return tok, nil
}

// parseToken checks the answer to a token request. A token goes into a header of
// every request, so it must be visible ASCII. Its lifetime counts from when it
// was requested, and a new one is requested shortly before it expires.
func parseToken(a *answer, requested time.Time) (*token, error) {
	value := string(a.body)
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("%w: the token is empty or has characters that a header cannot hold", ErrMalformed)
	}
	header := a.header.Get(headerTTL)
	seconds, _ := strconv.ParseUint(header, 10, 64) // on a range error it is the largest number
	if seconds == 0 || strings.Trim(header, "0123456789") != "" {
		return nil, fmt.Errorf("%w: %s is not a whole number of seconds, 1 or more", ErrMalformed, headerTTL)
	}
	ttl := time.Duration(min(seconds, uint64(MaxTokenTTL/time.Second))) * time.Second
	return &token{value: value, renew: requested.Add(ttl - min(2*time.Minute, ttl/10))}, nil
}
