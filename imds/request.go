// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// version is the only version that has the token path (AWS EC2 User Guide).
const version = "/latest/"

// The headers, spelled as in the AWS EC2 User Guide.
const (
	headerToken = "X-aws-ec2-metadata-token"
	headerTTL   = "X-aws-ec2-metadata-token-ttl-seconds"
)

// The largest answers that are read, in bytes. The real ones are far smaller: a
// token has 56 bytes, an identity document about 500, user-data at most 16 KiB.
const (
	maxTokenBytes    = 4 << 10
	maxDocumentBytes = 64 << 10
	maxBodyBytes     = 256 << 10
	maxHeaderBytes   = 16 << 10
	maxInterim       = 5 // 1xx answers before the real one
)

func bodyLimit(path string) int64 {
	if path == paths.Identity || path == paths.UserData {
		return maxDocumentBytes
	}
	return maxBodyBytes
}

// request is one PUT or GET, on a connection of its own.
type request struct {
	method, endpoint, path string
	header, value          string // the one header that IMDSv2 adds
	limit                  int64  // of the answer's body, in bytes
	timeouts               Timeouts
	// The observers may be nil.
	begun           func(at time.Time)
	connected, sent func()
}

// answer is a 200 or 204.
type answer struct {
	status int
	body   []byte
	header textproto.MIMEHeader
}

func (r request) fail(err error) *Error {
	return &Error{Op: r.method, Endpoint: r.endpoint, Path: r.path, Err: err}
}

// do makes one request and closes its connection, as IMDS does too.
func (c *Client) do(ctx context.Context, r request) (*answer, *Error) {
	if c.Pace != nil {
		if err := c.Pace(ctx); err != nil {
			return nil, r.fail(fmt.Errorf("%w: %w", ErrNotBegun, causeOf(ctx, err)))
		}
	}
	if ctx.Err() != nil {
		return nil, r.fail(fmt.Errorf("%w: %w", ErrNotBegun, context.Cause(ctx)))
	}
	c.requests.Add(1)
	begun := time.Now()
	if r.begun != nil {
		r.begun(begun)
	}
	base, err := parseEndpoint(r.endpoint)
	if err != nil {
		return nil, r.fail(err)
	}
	conn, err := c.connect(ctx, r.timeouts.Connect, base)
	if err != nil {
		return nil, r.fail(causeOf(ctx, err))
	}
	defer conn.Close()
	if r.connected != nil {
		r.connected()
	}
	rctx, cancel := context.WithTimeout(ctx, r.timeouts.Read)
	defer cancel()
	// The end of the context ends the connection's I/O; the defer closes it.
	stop := context.AfterFunc(rctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if own := r.sent; c.Sent != nil {
		r.sent = func() {
			if own != nil {
				own()
			}
			c.Sent()
		}
	}
	a, e := r.exchange(conn, c.message(r, base))
	if e != nil {
		e.Connected = true
		e.Err = causeOf(ctx, e.Err)
	}
	return a, e
}

// parseEndpoint returns the base URL. It accepts a final slash.
func parseEndpoint(endpoint string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimSuffix(endpoint, "/"))
	if err != nil {
		return nil, err
	}
	if base.Scheme != "http" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the endpoint must be http:// with an address, and perhaps a port and a path")
	}
	return base, nil
}

// causeOf returns the context's cause if the end of the context caused the error.
// Other errors happened before it and are returned as they are.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && (timedOut(err) || errors.Is(err, context.Canceled)) {
		return context.Cause(ctx)
	}
	return err
}

// connect dials within the connect timeout.
func (c *Client) connect(ctx context.Context, timeout time.Duration, base *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = dialer(c.Interface)
	}
	host, port := base.Hostname(), cmp.Or(base.Port(), "80")
	if !strings.EqualFold(host, "localhost") {
		return dial(ctx, "tcp", net.JoinHostPort(host, port))
	}
	conn, err := dial(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil && ctx.Err() == nil {
		if conn, err6 := dial(ctx, "tcp", "[::1]:"+port); err6 == nil {
			return conn, nil
		}
	}
	return conn, err
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// message returns the bytes of the request. It is built only once there is a
// connection, because most attempts of a wait never get this far.
func (c *Client) message(r request, base *url.URL) []byte {
	host := base.Host
	if before, after, ok := strings.Cut(host, "%"); ok { // a zone is local (RFC 6874 section 1)
		_, port, _ := strings.Cut(after, "]")
		host = before + "]" + port
	}
	agent := oneLine.Replace(cmp.Or(c.UserAgent, "imds-ready"))
	b := make([]byte, 0, bufferBytes)
	b = fmt.Appendf(b, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n", r.method, base.EscapedPath(), version, escape(r.path), host)
	b = fmt.Appendf(b, "User-Agent: %s\r\nConnection: close\r\n", agent)
	if r.method == "PUT" {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	return fmt.Appendf(b, "%s: %s\r\n\r\n", r.header, r.value)
}

// escape escapes each segment of a path: tag keys may hold spaces, "?" or "%".
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

// retryAfter parses Retry-After (RFC 9110 section 10.2.3), which is in seconds or a
// date. A date is compared with the answer's own Date, because the clock of an
// instance may be wrong at boot. An invalid value is 0.
func retryAfter(h textproto.MIMEHeader) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		seconds, err := strconv.ParseUint(v, 10, 31)
		if err != nil { // longer than any sensible wait
			seconds = 1 << 31
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := parseTime(v)
	if err != nil {
		return 0
	}
	now, err := parseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now))
}

// parseTime parses a date of HTTP (RFC 9110 section 5.6.7).
func parseTime(s string) (at time.Time, err error) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if at, err = time.Parse(layout, s); err == nil {
			break
		}
	}
	return at, err
}
