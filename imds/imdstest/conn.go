// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"
)

const (
	maxRequest = 64 << 10                     // how much is read of one request, in bytes
	dripEvery  = 100 * time.Millisecond       // the pause of a drip without a value
	forever    = time.Duration(math.MinInt64) // a pause that only a channel ends
)

// conn is one connection with its one request.
type conn struct {
	net.Conn
	server *Server
	addr   string          // the address that was dialed, or is listened on
	gone   context.Context // done when the client or the server closes the connection
	leave  context.CancelFunc
}

// attach serves a connection in the background. It reports false once the server
// is closed.
func (s *Server) attach(c net.Conn, addr string) bool {
	gone, leave := context.WithCancel(context.Background())
	return s.spawn(c, (&conn{Conn: c, server: s, addr: addr, gone: gone, leave: leave}).serve)
}

// serve reads one request and answers it, as the real service does: one request
// per connection. It returns when the connection is closed and nothing is left
// running.
func (c *conn) serve() {
	defer c.leave()
	defer func() { _ = c.Close() }() // the connection is over, whatever Close returns
	from := &source{Reader: c}
	req, err := http.ReadRequest(bufio.NewReader(io.LimitReader(from, maxRequest)))
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	switch {
	case err != nil && from.ended:
		return // the client left before its request was complete
	case err != nil:
		req = nil // malformed or too long
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// Everything else that the client sends is ignored, except for its end.
		_, _ = io.Copy(io.Discard, c)
		c.leave()
	}()
	var a reply
	c.server.record(func(now time.Duration) (r Request) {
		r, a = c.server.answer(now, c.addr, req)
		return r
	})
	c.deliver(a)
	_ = c.Close()
	<-watched
}

// source remembers that there is nothing more to read, which net/http does not
// always distinguish from a malformed request.
type source struct {
	io.Reader
	ended bool
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	s.ended = s.ended || err != nil
	return n, err
}

// pause waits for d, and reports whether it was over before one of the channels
// was closed. A pause of 0 never waits: a client that has sent its request and
// closed its half of the connection still gets an answer.
func pause(d time.Duration, gone, done <-chan struct{}) bool {
	var over <-chan time.Time
	switch {
	case d == 0:
		return true
	case d != forever:
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-gone:
	case <-done:
	}
	return false
}

func (c *conn) pause(d time.Duration) bool { return pause(d, c.gone.Done(), nil) }

// deliver writes an answer, or what the fault makes of it. A write that fails
// means that the client is gone.
func (c *conn) deliver(a reply) {
	if !c.pause(c.server.Latency) {
		return
	}
	head, body := a.wire()
	half := body[:len(body)/2]
	wait, err := time.ParseDuration(a.phase.Value)
	if err != nil {
		wait = dripEvery
	}
	switch a.phase.Fault {
	case "hang":
		c.pause(forever)
	case "reset":
		c.reset()
	case "close":
	case "garbage":
		c.write("\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff")
	case "truncate":
		c.write(head + half)
	case "reset-body":
		c.write(head + half)
		c.reset()
	case "stall":
		c.write(head + half)
		c.pause(forever)
	case "slow":
		if c.pause(wait) {
			c.write(head + body)
		}
	case "drip":
		ok := c.write(head)
		for i := 0; ok && i < len(body); i++ {
			ok = c.pause(wait) && c.write(body[i:i+1])
		}
	case "chunked":
		c.write(head + chunk(half) + chunk(body[len(half):]) + "0\r\n\r\n")
	default:
		c.write(head + body)
	}
}

// write reports whether all of s was written.
func (c *conn) write(s string) bool {
	_, err := io.WriteString(c, s)
	return err == nil
}

// reset closes the connection so that the client sees RST.
func (c *conn) reset() {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // if it fails, the client sees an end of file
	}
	_ = c.Close()
}

// chunk encodes a chunk of a chunked body. It omits an empty one, which would end
// the body.
func chunk(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(s), s)
}
