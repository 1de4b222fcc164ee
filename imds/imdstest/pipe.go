// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// pipeEnd is one end of a net.Pipe that speaks like a TCP connection: addresses,
// *net.OpError, and a reset that the other end can tell from an end of file.
type pipeEnd struct {
	net.Conn
	network       string
	local, remote net.Addr
	closed        atomic.Bool  // by this end
	reset         *atomic.Bool // by either end, so the other sees RST
}

// newPipe returns the client's and the server's end of a connection to an
// address.
func newPipe(network string, to net.Addr) (client, server *pipeEnd) {
	a, b := net.Pipe()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}
	if t, ok := to.(*net.TCPAddr); ok && t.IP.To4() == nil {
		from.IP = net.IPv6loopback
	}
	reset := new(atomic.Bool)
	client = &pipeEnd{Conn: a, network: network, local: from, remote: to, reset: reset}
	server = &pipeEnd{Conn: b, network: network, local: to, remote: from, reset: reset}
	return client, server
}

func (p *pipeEnd) LocalAddr() net.Addr  { return p.local }
func (p *pipeEnd) RemoteAddr() net.Addr { return p.remote }

// Read is the pipe's, with the errors of a TCP connection.
func (p *pipeEnd) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if err == nil {
		return n, nil
	}
	switch {
	case errors.Is(err, io.ErrClosedPipe) && p.closed.Load():
		return n, p.opError("read", net.ErrClosed)
	case !errors.Is(err, os.ErrDeadlineExceeded) && p.reset.Load():
		return n, p.opError("read", os.NewSyscallError("read", syscall.ECONNRESET))
	case errors.Is(err, io.EOF):
		return n, io.EOF
	}
	return n, p.opError("read", err)
}

// Write is the pipe's, with the errors of a TCP connection.
func (p *pipeEnd) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	switch {
	case errors.Is(err, io.ErrClosedPipe) && p.closed.Load():
		return n, p.opError("write", net.ErrClosed)
	case errors.Is(err, io.ErrClosedPipe) && p.reset.Load():
		return n, p.opError("write", os.NewSyscallError("write", syscall.ECONNRESET))
	case errors.Is(err, io.ErrClosedPipe):
		return n, p.opError("write", os.NewSyscallError("write", syscall.EPIPE))
	}
	return n, p.opError("write", err)
}

// Close closes this end; a second time is the error that TCP gives.
func (p *pipeEnd) Close() error {
	if p.closed.Swap(true) {
		return p.opError("close", net.ErrClosed)
	}
	return p.Conn.Close()
}

// SetLinger(0) makes the next Close a reset, as on a *net.TCPConn.
func (p *pipeEnd) SetLinger(sec int) error {
	if sec == 0 {
		p.reset.Store(true)
	}
	return nil
}

// opError is TCP's error for a cause; the pipe's own wrapping goes.
func (p *pipeEnd) opError(op string, err error) error {
	if inner, ok := errors.AsType[*net.OpError](err); ok {
		err = inner.Err
	}
	return &net.OpError{Op: op, Net: p.network, Source: p.local, Addr: p.remote, Err: err}
}
