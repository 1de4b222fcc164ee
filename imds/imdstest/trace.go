// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Request is one thing that the server saw: a connection attempt or a request.
type Request struct {
	// Kind is SYN for a connection attempt (in process every one; on a socket
	// those that the kernel let through), else the method. A request that is
	// not HTTP has kind BAD.
	Kind string
	// Path is below the version, as in "meta-data/instance-id"; "" for a SYN.
	// What is not below a version is here in whole, with its first "/".
	Path string
	// Status is what the answer says, or would say if its first line ever
	// came; 0 when the fault sends none, and for a SYN.
	Status int
	// At is when it was seen, since the server's start: for a SYN when it was
	// sent (in process) or accepted, for a request when it was read.
	At time.Duration
	// Addr is the address that was dialled, or that the socket listens on.
	Addr string
	// Token says that the request carried a token that was valid. The token
	// itself is nowhere in here.
	Token bool
	// Fault is the fault that decided it, with its value, as in "404" or
	// "big=9437184"; "": none.
	Fault string
	// Header is what the request's header was, less the token; nil for a SYN.
	Header http.Header
}

// String is one line for comparing: "250ms GET meta-data/ 200", "0s SYN refuse",
// "1s PUT api/token hang". Addr, Token and Header are left out.
func (r Request) String() string {
	line := fmt.Sprintf("%v %s", r.At, r.Kind)
	if r.Path != "" {
		line += " " + r.Path
	}
	if r.Status != 0 {
		line += fmt.Sprintf(" %d", r.Status)
	}
	if r.Fault != "" && r.Fault != fmt.Sprint(r.Status) {
		line += " " + r.Fault
	}
	return line
}

// Trace returns everything seen so far, in order.
func (s *Server) Trace() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.trace)
}

// Requests is the trace without the connection attempts.
func (s *Server) Requests() []Request {
	return slices.DeleteFunc(s.Trace(), func(r Request) bool { return r.Kind == "SYN" })
}

// Tokens returns every token handed out so far, in whole or in part, valid or
// not, so that a test can look for them where they must not be. One that a
// fault kept back is not among them.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens)
}

// record adds to the trace, under the lock.
func (s *Server) record(r Request) {
	if !s.Forget {
		s.trace = append(s.trace, r)
	}
}

// note calls OnRequest, without the lock.
func (s *Server) note(r Request) {
	if s.OnRequest != nil {
		s.OnRequest(r)
	}
}
