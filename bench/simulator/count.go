// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// counter counts what the simulator sees.
type counter struct {
	mu     sync.Mutex
	counts sim.Counts
	recent []time.Duration // when the requests of the last second came
}

// add counts something of a kind that came at a time since the start.
func (c *counter) add(kind string, at time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch kind {
	case "SYN":
		c.counts.Connections++
		return // its request will count
	case "PUT":
		c.counts.PUTs++
	case "GET":
		c.counts.GETs++
	default:
		c.counts.Others++
	}
	c.recent = append(c.recent, at)
	for at-c.recent[0] >= time.Second {
		c.recent = c.recent[1:]
	}
	c.counts.Peak = max(c.counts.Peak, len(c.recent))
}

// take returns the counts and begins anew.
func (c *counter) take() sim.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts, c.recent = sim.Counts{}, nil
	return counts
}
