// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindTCP makes a socket and binds it, without listening, and returns the
// address with the port that it got. With SO_REUSEADDR, as package net sets it
// too, several sockets may be bound there while at most one listens (socket(7)).
func bindTCP(at netip.AddrPort) (*os.File, netip.AddrPort, error) {
	domain := unix.AF_INET
	if at.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, at, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "anchor of "+at.String())
	err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	if err == nil && domain == unix.AF_INET6 {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(at)))
	}
	if err == nil {
		at, err = boundTo(fd, at)
	}
	if err != nil {
		_ = f.Close()
		return nil, at, err
	}
	return f, at, nil
}

// sockaddr is at as the kernel takes it.
func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
}

// boundTo is at with the port that the kernel chose.
func boundTo(fd int, at netip.AddrPort) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return at, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(at.Addr(), uint16(name.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(at.Addr(), uint16(name.Port)), nil
	}
	return at, fmt.Errorf("reading the bound port: a socket address of type %T", name)
}

// listenTCP listens; when dropping, with not one packet let in before the
// filter is there. Multipath TCP is off, since its sockets hide the one that
// the filter has to be on.
func listenTCP(at netip.AddrPort, dropping bool) (*net.TCPListener, error) {
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if !dropping {
			return nil
		}
		return control(c, dropAll)
	}}
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), network, at.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// setDropping makes a listener a black hole, or lets packets in again.
func setDropping(l *net.TCPListener, dropping bool) error {
	c, err := l.SyscallConn()
	if err != nil {
		return err
	}
	if dropping {
		return control(c, dropAll)
	}
	return control(c, dropNone)
}

// dropAll puts a filter on a socket that lets no packet through: the kernel
// drops a SYN for a listener with it silently (tcp_filter in tcp_v4_rcv), and
// needs no privilege for that (socket(7), SO_ATTACH_FILTER). The other way, a
// listen queue of our own connections, leaves a moment between listen and the
// filling in which a client that dials without pause takes the place: measured,
// in one run of five.
func dropAll(fd int) error {
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	return os.NewSyscallError("setsockopt", err)
}

// dropNone takes the filter away.
func dropNone(fd int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
}

// control runs f on a socket.
func control(c syscall.RawConn, f func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
