// SPDX-License-Identifier: Apache-2.0

package imdstest

import "time"

// script is a schedule in progress. It has neither a clock nor a lock; all times
// are since the server's start.
type script struct {
	phases []Phase       // the current one and those after it
	since  time.Duration // when phases[0] began
	used   int           // how many events phases[0] has decided
}

// current drops the phases that are over and returns the current one, or nil
// after the last.
func (s *script) current(now time.Duration) *Phase {
	for len(s.phases) > 0 {
		p := &s.phases[0]
		if p.For == 0 || now < s.since+p.For {
			return p
		}
		s.next(s.since + p.For)
	}
	return nil
}

// next begins the following phase at a time.
func (s *script) next(at time.Duration) {
	s.phases, s.since, s.used = s.phases[1:], at, 0
}

// event is a connection, which has no method, or a request.
type event struct {
	family    string // ipv4 or ipv6
	method    string
	path      string
	token     bool // a PUT of the token path
	directory bool // a GET that a listing answers, or one below loop/
}

// applies reports whether the phase decides the event.
func (p *Phase) applies(e event) bool {
	kind := kindOf(p.Fault)
	return kind.connect == (e.method == "") &&
		(p.Family == "" || p.Family == e.family) &&
		(p.Method == "" || p.Method == e.method) &&
		(p.Path == "" || match(p.Path, e.path)) &&
		(!kind.token || e.token) && (!kind.listing || e.directory)
}

// decide asks the schedules about an event in their order. The first one whose
// phase applies with a fault decides; only this phase counts the event, besides
// the ok phases that were asked before it. The lock must be held.
func (s *Server) decide(now time.Duration, e event) Phase {
	for _, script := range s.scripts {
		c := script.current(now)
		if c == nil || !c.applies(e) {
			continue
		}
		script.used++
		if c.Count > 0 && script.used == c.Count {
			script.next(now)
			close(s.moved)
			s.moved = make(chan struct{})
		}
		if c.name() != "ok" {
			return *c
		}
	}
	return Phase{}
}

// connectState returns the connect fault that is in force for a family, and the
// time of the next change that the clock alone brings, or 0 if there is none.
// The lock must be held.
func (s *Server) connectState(now time.Duration, family string) (p Phase, until time.Duration) {
	found := false
	for _, script := range s.scripts {
		c := script.current(now)
		if c == nil {
			continue
		}
		if end := script.since + c.For; c.For > 0 && (until == 0 || end < until) {
			until = end
		}
		if !found && c.applies(event{family: family}) {
			p, found = *c, true
		}
	}
	return p, until
}
