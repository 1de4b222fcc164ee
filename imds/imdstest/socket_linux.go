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

// bindTCP makes a socket and binds it without listening, and returns the address
// with the port that the kernel chose. Because of SO_REUSEADDR, which package net
// sets too, several sockets can be bound there while at most one listens
// (socket(7)).
func bindTCP(at netip.AddrPort) (*os.File, netip.AddrPort, error) {
	var to unix.Sockaddr
	if at.Addr().Is4() {
		to = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	} else {
		to = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	fd, err := unix.Socket(int(familyOf(at)), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, at, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "anchor of "+at.String())
	call, err := "setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil && at.Addr().Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		call, err = "bind", unix.Bind(fd, to)
	}
	if err == nil {
		call = "getsockname"
		to, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = f.Close()
		return nil, at, os.NewSyscallError(call, err)
	}
	switch bound := to.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(at.Addr(), uint16(bound.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(at.Addr(), uint16(bound.Port))
	}
	return f, at, nil
}

// familyOf returns AF_INET or AF_INET6.
func familyOf(at netip.AddrPort) uint16 {
	if at.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// listenTCP listens. If dropping is true, the socket is a black hole from its
// first moment. Multipath TCP is off, because its sockets hide the one that has
// to drop.
func listenTCP(at netip.AddrPort, dropping bool) (*net.TCPListener, error) {
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if !dropping {
			return nil
		}
		return setDropping(c, familyOf(at), true)
	}}
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), network, at.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// setDropping makes a listening socket of a family a black hole, or lets packets
// in again.
//
// A TCP MD5 key (RFC 2385) for every peer makes the kernel drop each SYN without
// a signature silently, and needs no privilege. A kernel built without
// CONFIG_TCP_MD5SIG gets a filter that drops every packet instead, which needs
// CAP_NET_ADMIN on current kernels. A full listen queue would need neither, but
// leaves a moment between listening and filling it in which a client that dials
// without pause takes the free place: it did in one run of five.
func setDropping(c syscall.RawConn, family uint16, dropping bool) error {
	var keyErr, filterErr error
	err := c.Control(func(fd uintptr) {
		// Prefix length 0 is every address; a key of length 0 removes the key.
		key := unix.TCPMD5Sig{Addr: unix.SockaddrStorage{Family: family}, Flags: unix.TCP_MD5SIG_FLAG_PREFIX}
		if dropping {
			key.Keylen = 1
		}
		if keyErr = unix.SetsockoptTCPMD5Sig(int(fd), unix.IPPROTO_TCP, unix.TCP_MD5SIG_EXT, &key); keyErr == nil {
			return
		}
		if dropping {
			drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
			filterErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
		} else {
			filterErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
	})
	if err == nil && filterErr != nil {
		err = fmt.Errorf("blackhole needs a kernel with TCP MD5 signatures (TCP_MD5SIG_EXT: %w) or the capability CAP_NET_ADMIN (SO_ATTACH_FILTER: %w): "+
			"run as root, or use refuse or hang instead", keyErr, filterErr)
	}
	return err
}
