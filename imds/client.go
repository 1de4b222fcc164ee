// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The default endpoints (AWS EC2 User Guide, "Access instance metadata for an
// EC2 instance").
const (
	EndpointIPv4 = "http://169.254.169.254"
	EndpointIPv6 = "http://[fd00:ec2::254]"
)

// The defaults of a [Client]'s zero fields, and the longest token lifetime
// that IMDS grants.
const (
	DefaultConnectTimeout = 250 * time.Millisecond
	DefaultReadTimeout    = 2 * time.Second
	MaxTokenTTL           = 6 * time.Hour
)

// DialFunc opens one connection; [net.Dialer.DialContext] is one. Tests
// replace it.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Client speaks IMDSv2. The zero values of its fields are the defaults; it is
// a literal, not copied after first use, and safe for concurrent use.
type Client struct {
	// Endpoints are base URLs without a final slash, one or two. Two are
	// raced, the first with a head start; none: [EndpointIPv4].
	Endpoints []string
	// Dial opens a connection; nil: TCP. The host "localhost" is dialled as
	// 127.0.0.1, then [::1]: no name is ever looked up.
	Dial DialFunc
	// Interface binds connections to one network interface (SO_BINDTODEVICE);
	// "": any. It is for TCP, not for a Dial of one's own.
	Interface string
	// Pace is called before each request begins and may delay it; nil: no
	// delay. Its error ends the request.
	Pace func(context.Context) error
	// UserAgent is sent with every request; "": imds-ready.
	UserAgent string
	// TokenTTL is the token lifetime to ask for, 1 s to 6 h; 0: 6 h.
	TokenTTL time.Duration
	// ConnectTimeout bounds the TCP connect; 0: 250 ms.
	ConnectTimeout time.Duration
	// ReadTimeout bounds a request from the connection made to the last byte
	// of the answer; 0: 2 s.
	ReadTimeout time.Duration
	// SecondPUT is after how long without an answer the token's PUT is sent
	// once more, on a second connection; 0, or ReadTimeout and more: never.
	SecondPUT time.Duration

	requests atomic.Int64

	mu       sync.Mutex // never held while waiting
	answered string     // the last endpoint that answered
	winner   string     // the only one used, once a race is settled; "": race
	lacking  []string   // endpoints of a family that the kernel lacks
	token    *token
	flight   *flight // the token in the making
}

// Get returns the body of a path below the version, such as
// "meta-data/instance-id"; a final "/" asks for a listing. It returns a nil
// body for 204 and for 200 without a body. Every error is an [*Error]; a
// context that ends cuts the request, and the error then wraps the context's
// cause.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	if ctx.Err() != nil {
		r := request{method: http.MethodGet, endpoint: c.endpoints()[0], path: path}
		return nil, r.fail(fmt.Errorf("%w: %w", ErrNotBegun, context.Cause(ctx)))
	}
	tok, err := c.tokenFor(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.do(ctx, request{
		method: http.MethodGet, endpoint: tok.endpoint, path: path,
		header: headerToken, value: tok.value, limit: bodyLimit(path),
	})
	if err != nil {
		if ctx.Err() == nil || err.Status != 0 { // a request that was cut has shown nothing
			c.afterFailure(tok, err)
		}
		return nil, err
	}
	c.answer(tok.endpoint)
	return a.body, nil
}

// Endpoint returns the base URL that answered last; "": none did.
func (c *Client) Endpoint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

// Requests returns how many requests were tried, PUT and GET alike, each side
// of a race counted.
func (c *Client) Requests() int { return int(c.requests.Load()) }

// afterFailure forgets what a failed GET has shown to be wrong: a token that
// was refused; the winner of a race, when it gave no answer at all.
func (c *Client) afterFailure(tok *token, err *Error) {
	if err.Status != 0 {
		c.answer(tok.endpoint)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := !err.answered() && c.winner != ""
	if lost && c.winner == tok.endpoint {
		c.winner = ""
	}
	if (lost || err.Status == http.StatusUnauthorized) && c.token == tok {
		c.token = nil
	}
}

func (c *Client) answer(endpoint string) {
	c.mu.Lock()
	c.answered = endpoint
	c.mu.Unlock()
}

func (c *Client) connectTimeout() time.Duration {
	return cmp.Or(c.ConnectTimeout, DefaultConnectTimeout)
}

func (c *Client) readTimeout() time.Duration { return cmp.Or(c.ReadTimeout, DefaultReadTimeout) }
