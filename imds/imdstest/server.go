// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"cmp"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is the simulator. [New] makes one. The fields must not be changed after
// the first use of Dial or Listen. Its methods are safe for concurrent use.
type Server struct {
	// Latency is how long each answer takes after its request was read.
	Latency time.Duration
	// ConnectLatency is how long each connection takes, in process only:
	// [Server.Listen] fails with it, because there the kernel connects.
	ConnectLatency time.Duration
	// TokenLifetime is how long the server accepts a token, while it keeps
	// reporting the lifetime that the client asked for. If zero, a token is
	// accepted for that lifetime.
	TokenLifetime time.Duration
	// Late says how long after the start a path appears, with everything below
	// it and its entries in listings. Paths are those of the tree, with or
	// without a final slash.
	Late map[string]time.Duration
	// Gone says how long after the start a path disappears in the same way. A
	// path that is in Late too exists between the two times; if it is gone
	// first, it disappears and comes back.
	Gone map[string]time.Duration
	// Changes are new bodies of leaves. If several changes of a path are due,
	// the one with the latest time counts.
	Changes []Change
	// BasePath precedes the version, as "/base" does in /base/latest/...; it
	// may be empty.
	BasePath string
	// Forget keeps neither the trace nor the list of tokens, for a server that
	// runs for days: Trace, Requests and Tokens return nothing.
	Forget bool
	// OnRequest is called with every entry of the trace, possibly by several
	// goroutines at once and therefore not always in order. Answers and Close
	// wait until it returns. If nil, it is not called.
	OnRequest func(Request)

	tree    Tree
	scripts []*script
	procNet string // the directory of route and ipv6_route, which tests replace

	mu      sync.Mutex // never held while waiting
	started bool
	start   time.Time
	closed  bool
	done    chan struct{} // closed by Close; made at the start, to be in the same bubble
	moved   chan struct{} // closed and replaced when a count ends a phase
	trace   []Request
	tokens  []string
	issued  map[string]token
	conns   map[net.Conn]struct{}
	failed  error // the last failure of a listener
	running sync.WaitGroup
}

// Change is a leaf that gets a new body.
type Change struct {
	// Path is the leaf's path in the tree. If the tree does not have it, the
	// leaf appears. Late and Gone apply to it as to every other path.
	Path string
	// At is the time of the change, since the start.
	At time.Duration
	// Body is what the leaf contains from then on.
	Body string
}

// New returns a server for a tree and the main schedule. An empty tree answers
// every path with 404. New panics if a phase is invalid; [ParseSchedule] never
// returns such phases.
func New(tree Tree, schedule ...Phase) *Server {
	s := &Server{tree: tree, procNet: "/proc/net"}
	return s.Also(schedule...)
}

// Also adds a schedule that runs beside the main one, for independent faults,
// and returns the server. For every event the main schedule is asked first, then
// the others in their order; the first that has a fault for the event decides
// it, and only that phase counts it. Like [New], it panics if a phase is
// invalid.
func (s *Server) Also(schedule ...Phase) *Server {
	if err := checkPhases(schedule); err != nil {
		panic("imdstest: checking schedule: " + err.Error())
	}
	if len(schedule) > 0 {
		s.scripts = append(s.scripts, &script{phases: slices.Clone(schedule)})
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

// treeAt returns the tree as it is at a time since the start.
func (s *Server) treeAt(now time.Duration) Tree {
	if len(s.Late)+len(s.Gone)+len(s.Changes) == 0 {
		return s.tree
	}
	tree := make(Tree, len(s.tree))
	maps.Copy(tree, s.tree)
	earlier := func(a, b Change) int { return cmp.Compare(a.At, b.At) }
	for _, c := range slices.SortedStableFunc(slices.Values(s.Changes), earlier) {
		if c.At <= now {
			tree[strings.TrimPrefix(c.Path, "/")] = c.Body
		}
	}
	// When each path appears and disappears.
	times := make(map[string][2]time.Duration, len(s.Late)+len(s.Gone))
	for path, late := range s.Late {
		times[strings.Trim(path, "/")] = [2]time.Duration{late, math.MaxInt64}
	}
	for path, gone := range s.Gone {
		path = strings.Trim(path, "/")
		times[path] = [2]time.Duration{times[path][0], gone}
	}
	var absent []string
	for path, at := range times {
		late, gone := at[0], at[1]
		if late <= gone && (now < late || gone <= now) || gone <= now && now < late {
			absent = append(absent, path)
		}
	}
	return tree.Without(absent...)
}

// spawn runs f. Close closes c, which may be nil, and waits until f returns.
// spawn reports false once the server is closed.
func (s *Server) spawn(c net.Conn, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if c != nil {
		s.conns[c] = struct{}{}
	}
	s.running.Go(func() {
		f()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	})
	return true
}

// Close ends every listener, connection and goroutine of the server, and waits
// for them. Later dials are refused. Closing again does nothing. The error is
// the last one that kept a listener from the state that the schedule wanted, or
// nil.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		if s.started {
			close(s.done)
		}
		for c := range s.conns {
			_ = c.Close() // the peer sees an end of file
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	return s.failed // its writers have ended
}
