// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Listen serves on a TCP socket as well, such as "127.0.0.1:0" or "[::1]:1338",
// until Close, and returns its base URL. It can be called for several addresses.
// When it returns, the first phase is in force.
//
// The address is an IP literal or localhost. Beyond loopback, including
// link-local addresses, Listen works only in a network namespace without a
// default route, so that the simulator never answers for the real service.
//
// It fails if a schedule has a fault that is impossible on a socket: a connect
// fault other than refuse and blackhole, or one with a count. It also fails with
// ConnectLatency.
func (s *Server) Listen(addr string) (url string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("listening on %s: %w", addr, err)
		}
	}()
	at, err := parseListen(addr)
	if err == nil {
		err = s.mayListen(at)
	}
	if err != nil {
		return "", err
	}
	if !s.begin() {
		return "", net.ErrClosed
	}
	g := &gate{server: s}
	if g.anchor, g.at, err = bindTCP(at); err != nil {
		return "", err
	}
	if _, _, err = g.step(); err == nil && !s.spawn(nil, g.run) {
		err = net.ErrClosed
	}
	if err != nil {
		g.close()
		return "", err
	}
	return "http://" + g.at.String() + s.BasePath, nil
}

// parseListen parses an address and looks up no name.
func parseListen(addr string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(strings.Replace(addr, "localhost:", "127.0.0.1:", 1))
	if err != nil || at.Addr().Zone() != "" {
		return at, errors.New("must be IP:PORT or localhost:PORT, with a port of 0 to 65535 and no zone, as in 127.0.0.1:1338 or [::1]:1338")
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// mayListen returns why the server must not or cannot listen there.
func (s *Server) mayListen(at netip.AddrPort) error {
	if !at.Addr().IsLoopback() {
		if err := isolated(s.procNet); err != nil {
			return err
		}
	}
	if s.ConnectLatency > 0 {
		return errors.New("a connect latency is possible in process only, because on a socket the kernel connects")
	}
	for _, script := range s.scripts {
		for _, p := range script.phases {
			switch {
			case !kindOf(p.Fault).connect:
			case p.Fault != "refuse" && p.Fault != "blackhole":
				return fmt.Errorf("phase %q: possible in process only: use refuse or blackhole", p)
			case p.Count > 0:
				return fmt.Errorf("phase %q: a count of connections is possible in process only, because a socket does not see what it refuses: use a duration", p)
			}
		}
	}
	return nil
}

// gate is one address that the server listens on, and its state: open, refusing
// or a black hole. One goroutine at a time uses it.
//
// While it refuses, nothing listens and the kernel answers a SYN with RST. The
// anchor, a second socket that is bound and never listens, reserves the port
// meanwhile: the kernel assigns it neither to another program nor to a client as
// its own port, which would connect to itself. A program that asks for this very
// port can still take it (SO_REUSEADDR); the gate then tries again until it is
// free. A black hole is a listener whose packets the kernel drops from its first
// moment.
type gate struct {
	server    *Server
	at        netip.AddrPort
	anchor    *os.File
	listener  *net.TCPListener // nil while refusing
	dropping  bool
	accepting chan struct{} // closed when the accept loop of the listener has ended
}

// retryAfter is the pause after a failure, such as a lack of file descriptors.
const retryAfter = 100 * time.Millisecond

// run keeps the gate in the state that the schedules want, until Close.
func (g *gate) run() {
	defer g.close()
	for g.server.begin() { // until the server is closed
		wait, moved, err := g.step()
		if err != nil {
			g.server.mu.Lock()
			g.server.failed = err
			g.server.mu.Unlock()
			wait = retryAfter
		}
		pause(wait, moved, g.server.done)
	}
}

// step brings about the state that is due now. It returns the time until the
// clock brings the next change, which may be forever, and a channel that is
// closed when a count brings one. All of it is from the same moment, so that no
// change is lost.
func (g *gate) step() (wait time.Duration, moved <-chan struct{}, err error) {
	s := g.server
	s.mu.Lock()
	now := time.Since(s.start)
	p, until := s.connectState(now, family(g.at.String()))
	moved = s.moved
	s.mu.Unlock()
	wait = forever
	if until > 0 {
		wait = until - now
	}
	if p.Fault == "refuse" {
		g.refuse()
		return wait, moved, nil
	}
	return wait, moved, g.listen(p.Fault == "blackhole")
}

// refuse stops listening. A client whose connection is not accepted yet sees RST.
func (g *gate) refuse() {
	if g.listener == nil {
		return
	}
	_ = g.listener.Close() // ends the accept loop
	<-g.accepting
	g.listener = nil
}

// listen accepts connections, or makes the kernel drop new ones. Established
// connections continue.
func (g *gate) listen(dropping bool) error {
	switch {
	case g.listener == nil:
		l, err := listenTCP(g.at, dropping)
		if err != nil {
			return err
		}
		g.listener, g.accepting = l, make(chan struct{})
		go g.accept(l, g.accepting)
	case g.dropping != dropping:
		c, err := g.listener.SyscallConn()
		if err == nil {
			err = setDropping(c, familyOf(g.at), dropping)
		}
		if err != nil {
			return err
		}
	}
	g.dropping = dropping
	return nil
}

// accept serves connections until the listener is closed.
func (g *gate) accept(listener *net.TCPListener, ended chan<- struct{}) {
	defer close(ended)
	addr := g.at.String()
	for {
		c, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptor left, or the connection is gone already
			if !pause(retryAfter, g.server.done, nil) {
				return
			}
			continue
		}
		g.server.record(func(now time.Duration) Request { return Request{Kind: "SYN", At: now, Addr: addr} })
		if !g.server.attach(c, addr) {
			_ = c.Close()
		}
	}
}

// close releases the port.
func (g *gate) close() {
	g.refuse()
	_ = g.anchor.Close()
}
