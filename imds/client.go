// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// The default endpoints (AWS EC2 User Guide, "Access instance metadata for an
// EC2 instance").
const (
	EndpointIPv4 = "http://169.254.169.254"
	EndpointIPv6 = "http://[fd00:ec2::254]"
)

// IdentityPath is the path of the instance identity document.
const IdentityPath = paths.Identity

// The defaults of zero [Timeouts], and the longest token lifetime that IMDS
// grants (AWS EC2 User Guide, "Use the Instance Metadata Service").
const (
	DefaultConnectTimeout = 250 * time.Millisecond
	DefaultReadTimeout    = 2 * time.Second
	MaxTokenTTL           = 6 * time.Hour
)

// Timeouts bound the requests of one call. They must not be negative.
type Timeouts struct {
	// Connect bounds the TCP connect of a request. If zero, it is 250 ms.
	Connect time.Duration
	// Read bounds a request from the established connection to the last byte of
	// the answer. If zero, it is 2 s.
	Read time.Duration
	// Hedge is how long the token's PUT may go unanswered before it is sent again, on
	// another connection, at most [MaxPUTs] times in all. If it is zero, or Read or
	// longer, the PUT is sent once.
	Hedge time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	t.Connect = cmp.Or(t.Connect, DefaultConnectTimeout)
	t.Read = cmp.Or(t.Read, DefaultReadTimeout)
	return t
}

// DialFunc opens one connection to an address such as "169.254.169.254:80"; the
// network is "tcp". [net.Dialer.DialContext] is a DialFunc.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Client speaks IMDSv2. Its zero value is ready to use. Set the fields before
// the first call, keep the Client for its token, and do not copy it. It is safe
// for concurrent use.
type Client struct {
	// Endpoints are one or two base URLs with the scheme http, whose host is an IP
	// address or "localhost". Two are raced, the first with a head start of
	// [HeadStart]. If empty, [EndpointIPv4] is used.
	Endpoints []string
	// Dial opens a connection. If nil, a TCP connection is opened. The host
	// "localhost" is dialed as 127.0.0.1, then [::1]; no name is ever looked up.
	Dial DialFunc
	// Interface binds TCP connections to one network interface
	// (SO_BINDTODEVICE). If empty, no interface is bound. It is ignored if Dial is
	// set.
	Interface string
	// Pace is called before each request begins and may delay it; its error ends
	// the request. If nil, requests are not delayed.
	Pace func(context.Context) error
	// Sent is called after each request was sent, before its answer is read, perhaps by
	// several goroutines at once. If nil, it is not called.
	Sent func()
	// UserAgent is sent with every request, with spaces in place of line ends. If empty,
	// it is "imds-ready".
	UserAgent string
	// TokenTTL is the requested lifetime of tokens, 1 s to 6 h, in whole seconds. If
	// zero, it is [MaxTokenTTL].
	TokenTTL time.Duration

	requests atomic.Int64

	mu       sync.Mutex // never held while waiting
	answered string     // the last endpoint that answered
	winner   string     // the only endpoint in use, once a race has given a token
	lacking  []string   // endpoints of a family that the kernel lacks
	token    *token
	flight   *flight // the token request under way
}

// Get is [Client.GetWithin] with the default timeouts.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.GetWithin(ctx, Timeouts{}, path)
}

// GetWithin returns the body of a path below "/latest/", such as
// "meta-data/instance-id"; a final "/" requests a listing (see [ParseListing]). It
// returns a nil body for 204 and for 200 without a body. Every error is an
// [*Error]. If the context ends, the request is cut and the error wraps the
// context's cause.
//
// A token request that several calls wait for runs under the timeouts of the
// call that started it.
func (c *Client) GetWithin(ctx context.Context, t Timeouts, path string) ([]byte, error) {
	t = t.withDefaults()
	if ctx.Err() != nil {
		r := request{method: "GET", endpoint: c.endpoints()[0], path: path}
		return nil, r.fail(fmt.Errorf("%w: %w", ErrNotBegun, context.Cause(ctx)))
	}
	called := time.Now()
	tok, begun, err := c.tokenFor(ctx, t)
	if begun.Before(called) && !begun.IsZero() { // another call's token request
		begun = called
	}
	if err != nil {
		own := *err // several calls share it
		own.Begun = begun
		return nil, &own
	}
	a, err := c.do(ctx, request{
		method: "GET", endpoint: tok.endpoint, path: path,
		header: headerToken, value: tok.value, limit: bodyLimit(path), timeouts: t,
		begun: func(at time.Time) {
			if begun.IsZero() {
				begun = at
			}
		},
	})
	if err != nil {
		err.Begun = begun
		if ctx.Err() == nil || err.Status != 0 { // a request that was cut proves nothing
			c.afterFailure(tok, err)
		}
		return nil, err
	}
	c.recordAnswer(tok.endpoint)
	return a.body, nil
}

// Endpoint returns the base URL that answered last, or "" if none has answered.
func (c *Client) Endpoint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

// Requests returns how many requests were made, including those whose connection
// failed. Each side of a race and each repeated PUT counts.
func (c *Client) Requests() int { return int(c.requests.Load()) }

// afterFailure forgets what a failed GET disproves: a token that was refused,
// and the winner of a race if it gave no answer at all.
func (c *Client) afterFailure(tok *token, err *Error) {
	if err.Status != 0 {
		c.recordAnswer(tok.endpoint)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := !err.answered() && c.winner != ""
	if lost && c.winner == tok.endpoint {
		c.winner = ""
	}
	if (lost || err.Status == 401) && c.token == tok {
		c.token = nil
	}
}

func (c *Client) recordAnswer(endpoint string) {
	c.mu.Lock()
	c.answered = endpoint
	c.mu.Unlock()
}
