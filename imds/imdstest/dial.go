// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Dial connects to the server in process, whatever the address. It can be used in
// place of [net.Dialer.DialContext], and its errors have the same form: a
// *net.OpError around a *os.SyscallError, or around a timeout that is
// context.DeadlineExceeded. A SYN that is dropped is not sent again: Dial then
// waits until ctx ends, or until Close, which refuses it.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to := tcpAddr(addr)
	fail := func(err error) (net.Conn, error) {
		switch ctx.Err() {
		case nil:
		case context.DeadlineExceeded:
			err = dialTimeout{}
		default:
			err = dialCanceled{}
		}
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: err}
	}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	if ctx.Err() != nil || !s.begin() {
		return fail(refused)
	}
	var p Phase
	s.record(func(now time.Duration) Request {
		p = s.decide(now, event{family: family(addr)})
		return Request{Kind: "SYN", At: now, Addr: addr, Fault: p.fault()}
	})
	errno, call := errnoOf(p)
	wait := s.ConnectLatency
	switch {
	case p.Fault == "blackhole":
		wait = forever
	case errno != 0 && errno != syscall.ECONNREFUSED:
		wait = 0 // such a SYN never leaves the host
	}
	if !pause(wait, ctx.Done(), s.done) {
		return fail(refused)
	}
	if errno != 0 {
		return fail(os.NewSyscallError(call, errno))
	}
	client, server := newPipe(network, to)
	if !s.attach(server, addr) {
		return fail(refused)
	}
	return client, nil
}

// tcpAddr returns addr as the dialer's errors have it. A name other than
// localhost would have to be looked up, and is the zero address.
func tcpAddr(addr string) *net.TCPAddr {
	at, _ := netip.ParseAddrPort(strings.Replace(addr, "localhost:", "127.0.0.1:", 1))
	return net.TCPAddrFromAddrPort(at)
}

// family returns ipv6 for an address with an IPv6 literal, and ipv4 otherwise.
func family(addr string) string {
	if strings.HasPrefix(addr, "[") {
		return "ipv6"
	}
	return "ipv4"
}

// dialTimeout and dialCanceled behave like two types that package net does not
// export.
type dialTimeout struct{}

func (dialTimeout) Error() string        { return "i/o timeout" }
func (dialTimeout) Timeout() bool        { return true }
func (dialTimeout) Temporary() bool      { return true }
func (dialTimeout) Is(target error) bool { return target == context.DeadlineExceeded }

type dialCanceled struct{}

func (dialCanceled) Error() string        { return "operation was canceled" }
func (dialCanceled) Is(target error) bool { return target == context.Canceled }

// pipeEnd is one end of a net.Pipe that behaves like a TCP connection: it has
// addresses, its errors are of type *net.OpError, and it distinguishes a reset
// from an end of file.
type pipeEnd struct {
	net.Conn
	network       string
	local, remote net.Addr
	closed        atomic.Bool  // this end was closed
	reset         *atomic.Bool // either end was reset
}

// newPipe returns both ends of a connection to an address.
func newPipe(network string, to *net.TCPAddr) (client, server *pipeEnd) {
	a, b := net.Pipe()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}
	if to.IP.To4() == nil {
		from.IP = net.IPv6loopback
	}
	reset := new(atomic.Bool)
	client = &pipeEnd{Conn: a, network: network, local: from, remote: to, reset: reset}
	server = &pipeEnd{Conn: b, network: network, local: to, remote: from, reset: reset}
	return client, server
}

func (p *pipeEnd) LocalAddr() net.Addr  { return p.local }
func (p *pipeEnd) RemoteAddr() net.Addr { return p.remote }

func (p *pipeEnd) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	return n, p.tcpError("read", err)
}

func (p *pipeEnd) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	return n, p.tcpError("write", err)
}

// A deadline of a TCP connection can be set until this end is closed, but that of a
// pipe only until either end is.
func (p *pipeEnd) SetDeadline(t time.Time) error { return p.setError(p.Conn.SetDeadline(t)) }

func (p *pipeEnd) SetReadDeadline(t time.Time) error { return p.setError(p.Conn.SetReadDeadline(t)) }

func (p *pipeEnd) SetWriteDeadline(t time.Time) error { return p.setError(p.Conn.SetWriteDeadline(t)) }

func (p *pipeEnd) setError(err error) error {
	if err == nil || !p.closed.Load() {
		return nil
	}
	return &net.OpError{Op: "set", Net: p.network, Addr: p.local, Err: net.ErrClosed}
}

// Close closes this end. Closing again is the error that TCP returns.
func (p *pipeEnd) Close() error {
	if p.closed.Swap(true) {
		return p.tcpError("close", io.ErrClosedPipe)
	}
	return p.Conn.Close()
}

// SetLinger makes the next Close a reset if sec is 0, as on a *net.TCPConn.
func (p *pipeEnd) SetLinger(sec int) error {
	if sec == 0 {
		p.reset.Store(true)
	}
	return nil
}

// tcpError returns the error of a TCP connection for that of the pipe.
func (p *pipeEnd) tcpError(op string, err error) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
	switch {
	case err == nil, errors.Is(err, io.EOF) && !p.reset.Load():
		return err
	case ended && p.closed.Load():
		err = net.ErrClosed
	case ended && p.reset.Load():
		err = os.NewSyscallError(op, syscall.ECONNRESET)
	case ended:
		err = os.NewSyscallError(op, syscall.EPIPE)
	default:
		err = errors.Unwrap(err) // of the pipe's own *net.OpError
	}
	return &net.OpError{Op: op, Net: p.network, Source: p.local, Addr: p.remote, Err: err}
}
