// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Listen serves on a TCP socket as well, "127.0.0.1:0" or "[::1]:1338", until
// Close, and returns its base URL. It may be called for several addresses. When
// it returns, the first phase is in force.
//
// The address is an IP literal or localhost. Beyond loopback, link-local
// addresses included, Listen works only in a network namespace without a
// default route, so that the simulator never answers for the real service.
//
// It is an error when a schedule has what no socket can do: a connect fault
// other than refuse and blackhole, one with a count, or ConnectLatency.
func (s *Server) Listen(addr string) (url string, err error) {
	at, err := parseListen(addr)
	if err == nil {
		err = s.mayListen(at)
	}
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w", addr, err)
	}
	if !s.begin() {
		return "", fmt.Errorf("listening on %s: %w", addr, net.ErrClosed)
	}
	g, err := newGate(s, at)
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w", addr, err)
	}
	if _, _, err := g.step(); err != nil {
		g.close()
		return "", fmt.Errorf("listening on %s: %w", addr, err)
	}
	if !s.spawn(g.run) {
		g.close()
		return "", fmt.Errorf("listening on %s: %w", addr, net.ErrClosed)
	}
	return "http://" + g.addr + s.BasePath, nil
}

// parseListen reads an address and looks nothing up.
func parseListen(addr string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, errors.New("not HOST:PORT, as in 127.0.0.1:1338 or [::1]:1338")
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	switch {
	case err != nil:
		return netip.AddrPort{}, errors.New("the host has to be an IP address or localhost, the port 0 to 65535")
	case at.Addr().Zone() != "":
		return netip.AddrPort{}, errors.New("an address with a zone is not supported")
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// mayListen says why the server must not or cannot listen there.
func (s *Server) mayListen(at netip.AddrPort) error {
	if !at.Addr().IsLoopback() {
		if err := isolated(s.procNet); err != nil {
			return err
		}
	}
	if s.ConnectLatency > 0 {
		return errors.New("the kernel connects, so a connect latency is possible in process only")
	}
	for _, script := range s.scripts {
		for _, p := range script.phases {
			switch {
			case !isConnectFault(p.Fault):
			case p.Fault != "refuse" && p.Fault != "blackhole":
				return fmt.Errorf("phase %q: possible in process only: use refuse or blackhole", p)
			case p.Count > 0:
				return fmt.Errorf("phase %q: a socket does not see what it refuses, so a count is possible in process only: use a duration", p)
			}
		}
	}
	return nil
}
