// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// roundTrip is a request that is answered, its connection included: the
// hypervisor is less than a millisecond away.
const roundTrip = 500 * time.Microsecond

// identity is the path that every boot waits for.
const identity = "dynamic/instance-identity/document"

// ending is how a boot went.
type ending struct {
	kind     string
	lag      time.Duration // from IMDS up to the document; only when it was had
	requests int
	gaveUp   bool
}

// What an eager policy does besides (imds-ready.toml(5)).
const (
	secondPUT = 500 * time.Millisecond // a PUT without an answer is sent once more
	minApart  = 25 * time.Millisecond  // of two attempts, whatever wakes the second
)

// boot plays one boot: attempt, verdict, pause, until the document is had or the
// budget is spent. It is what readiness does with a [policy.Budget].
func boot(p policy.Policy, o outage) ending {
	e := ending{kind: o.kind}
	budget := p.Budget()
	var now time.Duration
	for {
		begun := now
		class, requests, took := attempt(p, o, begun)
		e.requests += requests
		now += took
		if class == "" {
			e.lag = now - o.up()
			return e
		}
		v := budget.Next(policy.Failure{
			Class: class, Path: identity, Required: true,
			Token: class != "401", Headers: class.Answered(),
		}, now)
		if v.Stop != nil || p.Expired(now+v.Pause) {
			e.gaveUp = true
			return e
		}
		next := now + v.Pause
		if wake := o.networkUp(); p.Eager && wakes(class) && begun < wake && wake < next {
			next = min(next, max(wake, begun+minApart, now))
		}
		now = next
	}
}

// wakes reports whether the pause after a failure of this class also ends when
// something about the network changes.
func wakes(c policy.Class) bool {
	switch c {
	case policy.Unreachable, policy.Blocked, policy.ConnectionRefused, policy.ConnectTimeout:
		return true
	}
	return false
}

// attempt plays one attempt: its class, "" when it succeeds, the requests that
// were sent or tried, and how long it takes. A SYN that is lost is sent again by
// the kernel after a second, which is after every connect timeout here; and a PUT
// that hangs does not come to life when the service does.
func attempt(p policy.Policy, o outage, at time.Duration) (class policy.Class, requests int, took time.Duration) {
	class = o.at(at)
	switch class {
	case "":
		return "", 2, 2 * roundTrip // the PUT, and the GET
	case policy.Unreachable:
		return class, 1, 0
	case policy.ConnectTimeout:
		return class, 1, p.ConnectTimeout
	case policy.ReadTimeout:
		if !p.Eager {
			return class, 1, roundTrip + p.ReadTimeout
		}
		if o.at(at+secondPUT) == "" {
			return "", 3, secondPUT + 2*roundTrip
		}
		return class, 2, roundTrip + p.ReadTimeout
	case "401": // the token was had
		return class, 2, 2 * roundTrip
	default:
		return class, 1, roundTrip
	}
}
