// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Dial connects to the server in process, whatever the address; it fits where
// [net.Dialer.DialContext] does. Errors have the very shape of the dialer's: a
// *net.OpError around a *os.SyscallError, or around a timeout that is
// context.DeadlineExceeded. A SYN that is dropped stays so, since there is no
// retransmission: Dial then waits for ctx, or for Close, which refuses.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to := tcpAddr(addr)
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: err}
	}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	if err := ctx.Err(); err != nil {
		return fail(dialError(err))
	}
	if !s.begin() {
		return fail(refused)
	}
	p := s.syn(addr)
	if p.Fault == "blackhole" {
		select {
		case <-ctx.Done():
			return fail(dialError(ctx.Err()))
		case <-s.done:
			return fail(refused)
		}
	}
	errno, call := errnoOf(p)
	if errno == 0 || errno == syscall.ECONNREFUSED { // the others never leave the host
		if err := s.pauseDial(ctx, s.ConnectLatency); err != nil {
			return fail(err)
		}
	}
	if errno != 0 {
		return fail(os.NewSyscallError(call, errno))
	}
	client, server := newPipe(network, to)
	if !s.attach(newConn(s, server, addr)) {
		return fail(refused)
	}
	return client, nil
}

// syn records a connection attempt and returns the phase that decides it.
func (s *Server) syn(addr string) Phase {
	s.mu.Lock()
	now := time.Since(s.start)
	p := s.decide(now, event{family: family(addr)})
	r := Request{Kind: "SYN", At: now, Addr: addr, Fault: p.fault()}
	s.record(r)
	s.mu.Unlock()
	s.note(r)
	return p
}

// accepted records a connection that the kernel let through.
func (s *Server) accepted(addr string) {
	s.mu.Lock()
	r := Request{Kind: "SYN", At: time.Since(s.start), Addr: addr}
	s.record(r)
	s.mu.Unlock()
	s.note(r)
}

// pauseDial waits for d, or until ctx or the server ends.
func (s *Server) pauseDial(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return dialError(ctx.Err())
	case <-s.done:
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
}

// tcpAddr is addr as the dialer's errors have it; never a name that would have
// to be looked up.
func tcpAddr(addr string) net.Addr {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = addr, "80"
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	n, _ := strconv.Atoi(port) // 0 for a name: no address is better than none
	return &net.TCPAddr{IP: net.ParseIP(host), Port: n}
}

// family is ipv6 for an address with an IPv6 literal, else ipv4.
func family(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil && strings.Contains(host, ":") {
		return "ipv6"
	}
	return "ipv4"
}

// dialError is what the dialer makes of a context's error.
func dialError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return dialTimeout{}
	}
	return dialCanceled{}
}

// dialTimeout and dialCanceled do what two types of package net do that are
// not exported.
type dialTimeout struct{}

func (dialTimeout) Error() string        { return "i/o timeout" }
func (dialTimeout) Timeout() bool        { return true }
func (dialTimeout) Temporary() bool      { return true }
func (dialTimeout) Is(target error) bool { return target == context.DeadlineExceeded }

type dialCanceled struct{}

func (dialCanceled) Error() string        { return "operation was canceled" }
func (dialCanceled) Is(target error) bool { return target == context.Canceled }
