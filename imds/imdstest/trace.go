// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Request is a connection attempt or a request that the server saw.
type Request struct {
	// Kind is SYN for a connection attempt (in process every one; on a socket
	// those that the kernel let through) and the method for a request. A request
	// that is not HTTP has kind BAD.
	Kind string
	// Path is below the version, as in "meta-data/instance-id", and empty for a
	// SYN. A path that is not below a version is complete, with its first "/".
	Path string
	// Status is the status of the answer, even if its status line is never sent
	// in full. It is 0 for a SYN, and if the fault sends no status.
	Status int
	// At is the time since the server's start: for a SYN when it was sent (in
	// process) or accepted, for a request when it was read.
	At time.Duration
	// Addr is the address that was dialed, or that the socket listens on.
	Addr string
	// Token says that the request carried a valid token. No field contains the
	// token itself.
	Token bool
	// Fault is the fault that decided the answer, with its value, as in "404" or
	// "big=9437184". It is empty if there was none.
	Fault string
	// Header is the header of the request without the token; nil for a SYN.
	Header http.Header
}

// String returns a line for comparing, such as "250ms GET meta-data/ 200",
// "0s SYN refuse" or "1s PUT api/token hang". It omits Addr, Token and Header.
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

// Trace returns everything that the server saw so far, in order.
func (s *Server) Trace() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.trace)
}

// Requests returns the trace without the connection attempts.
func (s *Server) Requests() []Request {
	return slices.DeleteFunc(s.Trace(), func(r Request) bool { return r.Kind == "SYN" })
}

// Tokens returns every token that was sent so far, in full or in part, valid or
// not, so that a test can look for them where they must not be. A token that a
// fault kept from being sent is not included.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens)
}

// record makes an entry of the trace. It calls decide with the lock held, and
// OnRequest without it.
func (s *Server) record(decide func(now time.Duration) Request) {
	s.mu.Lock()
	r := decide(time.Since(s.start))
	if !s.Forget {
		s.trace = append(s.trace, r)
	}
	s.mu.Unlock()
	if s.OnRequest != nil {
		s.OnRequest(r)
	}
}
