// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// maxRequest bounds what is read of one request, in bytes.
const maxRequest = 64 << 10

// conn is one connection with its one request.
type conn struct {
	net.Conn
	server *Server
	addr   string // what was dialled, or is listened on
	gone   context.Context
	leave  context.CancelFunc
}

func newConn(s *Server, c net.Conn, addr string) *conn {
	gone, leave := context.WithCancel(context.Background())
	return &conn{Conn: c, server: s, addr: addr, gone: gone, leave: leave}
}

// serve reads one request and answers it, as the real service does: one
// connection a request. It returns when the connection is closed, with nothing
// left running.
func (c *conn) serve() {
	// Its own end of file is how a connection ends here; errors have no reader.
	defer c.leave()
	defer func() { _ = c.Close() }()
	from := &source{Reader: c}
	req, err := http.ReadRequest(bufio.NewReader(io.LimitReader(from, maxRequest)))
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	switch {
	case err != nil && from.ended:
		return // gone before a whole request
	case err != nil:
		req = nil // what came is no request, or far too long
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// Whatever the client still sends means nothing; its end does.
		_, _ = io.Copy(io.Discard, c)
		c.leave()
	}()
	c.deliver(c.server.answer(c, req))
	_ = c.Close()
	<-watched
}

// source remembers that there is nothing more to read, which net/http does not
// always tell from a request that is malformed.
type source struct {
	io.Reader
	ended bool
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	s.ended = s.ended || err != nil
	return n, err
}

// pause waits for d; false when the connection ended first. Without a wait it
// is true: a client that has said all and closed its half still gets an answer.
func (c *conn) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.gone.Done():
		return false
	}
}

// reset makes the client see RST.
func (c *conn) reset() {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // without it the client sees an end of file: also an end
	}
	_ = c.Close()
}
