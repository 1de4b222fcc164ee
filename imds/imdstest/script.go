// SPDX-License-Identifier: Apache-2.0

package imdstest

import "time"

// script is a schedule under way: which phase it is in. It has no clock and no
// lock of its own; now is the time since the server's start.
type script struct {
	phases []Phase
	since  time.Duration // when phases[0] began
	used   int           // how many it has decided
}

// current moves on past what is over and returns the phase of now, nil after
// the last.
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

// take counts one decision of the current phase, and reports whether the phase
// ended with it.
func (s *script) take(now time.Duration) bool {
	s.used++
	if s.phases[0].Count == 0 || s.used < s.phases[0].Count {
		return false
	}
	s.next(now)
	return true
}

// event is what a phase may apply to: a connection (no method), or a request.
type event struct {
	family    string // ipv4 or ipv6
	method    string
	path      string
	token     bool // a PUT of the token path
	directory bool // a GET that a listing answers, or one below loop/
}

// applies reports whether the phase decides the event.
func (p *Phase) applies(e event) bool {
	connect := e.method == ""
	switch {
	case isConnectFault(p.Fault) != connect:
		return false
	case p.Family != "" && p.Family != e.family,
		p.Method != "" && p.Method != e.method,
		p.Path != "" && !match(p.Path, e.path):
		return false
	case onlyToken(p.Fault) && !e.token, onlyListing(p.Fault) && !e.directory:
		return false
	}
	return true
}

// decide asks the scripts in order. The first whose phase applies with a fault
// decides; it alone counts, besides the ok phases asked before it. moved says
// that a phase ended by its count.
func decide(scripts []*script, now time.Duration, e event) (p Phase, moved bool) {
	for _, s := range scripts {
		c := s.current(now)
		if c == nil || !c.applies(e) {
			continue
		}
		phase := *c
		moved = s.take(now) || moved
		if phase.name() != "ok" {
			return phase, moved
		}
	}
	return Phase{}, moved
}

// connectState returns the connect fault in force for a family, and the time of
// the next change that the clock alone brings; 0: none.
func connectState(scripts []*script, now time.Duration, family string) (p Phase, until time.Duration) {
	found := false
	for _, s := range scripts {
		c := s.current(now)
		if c == nil {
			continue
		}
		if end := s.since + c.For; c.For > 0 && (until == 0 || end < until) {
			until = end
		}
		if !found && c.applies(event{family: family}) {
			p, found = *c, true
		}
	}
	return p, until
}
