// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// gate is one address that the server listens on, and its state: open, refusing
// or a black hole. One goroutine at a time works on it.
//
// Refusing means that nothing listens. The port is kept meanwhile by the
// anchor, a second socket that is bound there and never listens: nobody gets it
// by chance, no client as its own port either (a TCP connection to itself), and
// the kernel answers a SYN with RST. Who asks for this very port could have it
// (SO_REUSEADDR); the gate then tries again and again. A black hole is a listener whose packets
// the kernel drops, from its first moment.
type gate struct {
	server    *Server
	at        netip.AddrPort
	addr      string
	anchor    *os.File
	listener  *net.TCPListener // nil: refusing
	dropping  bool
	accepting chan struct{} // closed when the listener's accept loop has ended
}

// retryAfter is how long after a failure, such as no more descriptors, the
// kernel is asked again.
const retryAfter = 100 * time.Millisecond

// newGate takes the port, and refuses.
func newGate(s *Server, at netip.AddrPort) (*gate, error) {
	anchor, at, err := bindTCP(at)
	if err != nil {
		return nil, err
	}
	return &gate{server: s, at: at, addr: at.String(), anchor: anchor}, nil
}

// run keeps the state what the schedules say, until Close.
func (g *gate) run() {
	defer g.close()
	for {
		wait, moved, err := g.step()
		if err != nil {
			g.server.fail(err)
			wait = retryAfter
		}
		var tick <-chan time.Time
		if wait > 0 {
			tick = time.After(wait)
		}
		select {
		case <-g.server.done:
			return
		case <-moved:
		case <-tick:
		}
	}
}

// step brings about the state that is due now. It returns how long it is to
// the next change that the clock brings, 0 for none, and a channel that is
// closed when a count brings one; all three are of one moment, so that no
// change is lost.
func (g *gate) step() (wait time.Duration, moved <-chan struct{}, err error) {
	s := g.server
	s.mu.Lock()
	now := time.Since(s.start)
	p, until := connectState(s.scripts, now, family(g.addr))
	moved = s.moved
	s.mu.Unlock()
	if until > 0 {
		wait = until - now
	}
	if p.Fault == "refuse" {
		g.refuse()
		return wait, moved, nil
	}
	return wait, moved, g.listen(p.Fault == "blackhole")
}

// refuse stops listening. Whoever was connected and not accepted yet sees RST.
func (g *gate) refuse() {
	if g.listener == nil {
		return
	}
	_ = g.listener.Close() // the accept loop ends with it, whatever it says
	<-g.accepting
	g.listener = nil
}

// listen accepts connections, or lets the kernel drop what would become one.
// Connections that are there already go on.
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
	for {
		c, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or a connection that is gone again
			select {
			case <-g.server.done:
				return
			case <-time.After(retryAfter):
			}
			continue
		}
		g.server.accepted(g.addr)
		if !g.server.attach(newConn(g.server, c, g.addr)) {
			_ = c.Close()
		}
	}
}

// close lets go of the port.
func (g *gate) close() {
	g.refuse()
	_ = g.anchor.Close()
}
