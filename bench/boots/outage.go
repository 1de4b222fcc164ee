// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// phase is a part of an outage: while it lasts, every attempt fails so.
type phase struct {
	class policy.Class
	until time.Duration // since the boot
}

// outage is what one boot meets.
type outage struct {
	kind   string
	phases []phase
}

// up is when IMDS answers rightly.
func (o outage) up() time.Duration { return o.phases[len(o.phases)-1].until }

// at is the class that an attempt meets that begins at t; "": it succeeds.
func (o outage) at(t time.Duration) policy.Class {
	for _, p := range o.phases {
		if t < p.until {
			return p.class
		}
	}
	return ""
}

// networkUp is when the network comes; 0: it was there.
func (o outage) networkUp() time.Duration {
	if first := o.phases[0]; first.class == policy.Unreachable {
		return first.until
	}
	return 0
}

// The length of an outage is log-normal: most end soon, a few last long.
const (
	medianSeconds = 1.5
	sigma         = 1.0 // so that one in ten is over 5.4 s, one in a hundred over 15 s
)

// kind is a course that outages take.
type kind struct {
	name  string
	share float64 // of the boots
	// classes follow each other, each for the part of the outage below.
	classes []policy.Class
	parts   []float64
}

// kinds are an assumption, not a measurement: nobody publishes how often what
// happens. Their order and shares are those of what reports describe: the
// network first, then a service behind it that is not quite there.
func kinds() []kind {
	return []kind{
		{"no network, then refused", 0.30, []policy.Class{policy.Unreachable, policy.ConnectionRefused}, []float64{0.8, 0.2}},
		{"black hole", 0.20, []policy.Class{policy.ConnectTimeout}, []float64{1}},
		{"no network, then 503", 0.15, []policy.Class{policy.Unreachable, policy.Status(503)}, []float64{0.5, 0.5}},
		{"503", 0.15, []policy.Class{policy.Status(503)}, []float64{1}},
		{"hanging", 0.10, []policy.Class{policy.ReadTimeout}, []float64{1}},
		{"404, then 401", 0.10, []policy.Class{policy.Status(404), policy.Status(401)}, []float64{0.7, 0.3}},
	}
}

// draw is one boot's outage.
func draw(random *rand.Rand) outage {
	all := kinds()
	k := all[len(all)-1]
	for at, i := random.Float64(), 0; i < len(all); i++ {
		if at -= all[i].share; at < 0 {
			k = all[i]
			break
		}
	}
	length := medianSeconds * math.Exp(sigma*random.NormFloat64())
	o := outage{kind: k.name}
	end := 0.0
	for i, class := range k.classes {
		end += k.parts[i]
		o.phases = append(o.phases, phase{class: class, until: time.Duration(end * length * float64(time.Second))})
	}
	return o
}
