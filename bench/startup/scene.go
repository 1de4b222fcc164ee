// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// scene is what there is to collect, and how far away.
type scene struct {
	latency    time.Duration // of every answer
	interfaces int           // besides the tree's own two
	identity   bool          // the identity document only
}

// standard is the scene that the targets are about.
func standard() scene { return scene{latency: 300 * time.Microsecond} }

// scenes are those of -all. 17 interfaces more make 400 paths.
func scenes() []scene {
	var all []scene
	for _, identity := range []bool{false, true} {
		for _, latency := range []time.Duration{0, 300 * time.Microsecond, time.Millisecond} {
			all = append(all, scene{latency: latency, identity: identity})
		}
	}
	return append(all, scene{latency: 300 * time.Microsecond, interfaces: 17})
}

// String is the scene's title.
func (s scene) String() string {
	what := "the whole tree"
	switch {
	case s.identity:
		what = "the identity document"
	case s.interfaces > 0:
		what = fmt.Sprintf("the tree with %d interfaces more", s.interfaces)
	}
	return fmt.Sprintf("%s, at %v", what, s.latency)
}

// played is how a scene went.
type played struct {
	scene
	measured float64 // what the latency really was, in seconds
	all      []*contestant
}

// The places of those that the targets compare.
const (
	daemonPlace = iota
	oneByOnePlace
)

func (p *played) daemon() *contestant   { return p.all[daemonPlace] }
func (p *played) oneByOne() *contestant { return p.all[oneByOnePlace] }

// play starts a simulator and runs the rounds.
func (s scene) play(ctx context.Context, o options, b builds, dir string) (*played, error) {
	server, err := sim.Start(ctx, b.simulator, "-latency", s.latency.String(), "-interfaces", fmt.Sprint(s.interfaces))
	if err != nil {
		return nil, err
	}
	all, err := contestants(s, b, server.URL, o.also...)
	if err == nil {
		races := rounds{dir: dir, server: server, timeout: o.timeout}
		err = races.run(ctx, o.warmup, o.rounds, all)
	}
	if err := errors.Join(err, server.Stop()); err != nil {
		return nil, err
	}
	return &played{scene: s, measured: server.Latency, all: all}, nil
}
