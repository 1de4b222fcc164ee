// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"net"
	"sync"
	"time"
)

// Server is the simulator. [New] makes one; the fields may be set before its
// first use, and not after. Its methods are safe for concurrent use.
type Server struct {
	// Latency is how long each answer takes, from the request read.
	Latency time.Duration
	// ConnectLatency is how long each connection takes, in process only:
	// [Server.Listen] refuses to work with it, since the kernel connects.
	ConnectLatency time.Duration
	// TokenLifetime is when the server forgets a token, whatever lifetime it
	// told the client, and goes on telling it; 0: when it told.
	TokenLifetime time.Duration
	// Late says how long after the start a path appears, with all that is
	// below it and its entries in listings. Paths are those of the tree, with
	// or without a final slash.
	Late map[string]time.Duration
	// BasePath is what stands before the version, "/base" for
	// /base/latest/...; "": nothing.
	BasePath string
	// Forget keeps neither the trace nor the list of tokens, for a server that
	// is to run for days: Trace, Requests and Tokens return nothing.
	Forget bool
	// OnRequest is called with every entry of the trace, possibly by several
	// goroutines at once and so not always in order. What it waits for, an
	// answer and Close wait for. nil: not called.
	OnRequest func(Request)

	tree    Tree
	scripts []*script
	procNet string // where route and ipv6_route are; tests set it

	mu      sync.Mutex // never held while waiting
	started bool
	start   time.Time
	closed  bool
	done    chan struct{} // closed by Close; made at the start, in its bubble
	moved   chan struct{} // closed and renewed when a count ends a phase
	trace   []Request
	tokens  []string
	issued  map[string]token
	conns   map[net.Conn]struct{}
	failed  error // the last thing that went wrong with a listener
	running sync.WaitGroup
}

// New returns a server for a tree (nil: nothing is there) and the main
// schedule. It panics when [ParseSchedule] would not have made such phases.
func New(tree Tree, schedule ...Phase) *Server {
	s := &Server{tree: tree, procNet: "/proc/net"}
	return s.Also(schedule...)
}

// Also adds a schedule that runs beside the main one, for faults that are
// independent of it, and returns the server. Every event is put to the main
// schedule, then to the others in their order; the first that has a fault for
// it decides it, and only that phase counts it.
func (s *Server) Also(schedule ...Phase) *Server {
	if err := checkPhases(schedule); err != nil {
		panic("imdstest: checking schedule: " + err.Error())
	}
	if len(schedule) > 0 {
		s.scripts = append(s.scripts, &script{phases: append([]Phase(nil), schedule...)})
	}
	return s
}

// begin starts the clock at the first use. It reports false once the server is
// closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if !s.started {
		s.started, s.start = true, time.Now()
		s.done, s.moved = make(chan struct{}), make(chan struct{})
		s.issued = make(map[string]token)
		s.conns = make(map[net.Conn]struct{})
	}
	return true
}

// decide asks the schedules about an event, under the lock.
func (s *Server) decide(now time.Duration, e event) Phase {
	p, moved := decide(s.scripts, now, e)
	if moved {
		close(s.moved)
		s.moved = make(chan struct{})
	}
	return p
}

// attach takes on a connection that Close has to end, and serves it; false
// when the server is closed.
func (s *Server) attach(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c.Conn] = struct{}{}
	s.running.Go(func() {
		c.serve()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c.Conn)
	})
	return true
}

// spawn runs f until it returns, which Close waits for; false when the server
// is closed.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(f)
	return true
}

// fail keeps an error of a listener for Close.
func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
}

// Close ends every listener, connection and goroutine of the server, and waits
// for them. What is dialled afterwards is refused. A second call does nothing.
// The error is the last one that kept a listener out of the state that the
// schedule wanted; nil: none.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		if s.started {
			close(s.done)
		}
		for c := range s.conns {
			// The peer sees an end of file; there is nobody to tell of more.
			_ = c.Close()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
