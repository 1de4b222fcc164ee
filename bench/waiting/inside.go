// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/capture"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// kind is a way in which IMDS is not there.
type kind struct {
	name, schedule string
	// flood is how many times an address comes and the one before goes
	// meanwhile.
	flood int
}

const (
	refused  = "refused"
	answered = "503"
	flooded  = "refused, while the network changes"
)

func kinds() []kind {
	return []kind{{refused, "refuse", 0}, {answered, "503", 0}, {flooded, "refuse", 10000}}
}

// bare is the name of the program that does nothing but sleep and dial.
const bare = "sleeping and dialling alone"

// all are the waiters of a kind: what news of the network costs is a question to
// the daemon alone.
func (k kind) all(bin string) []waiters.Waiter {
	compared := waiters.Built(bin)
	switch k.name {
	case refused:
		compared = append(compared, waiters.Waiter{Name: bare, Program: func(dir, url string) (process.Program, error) {
			address := strings.TrimPrefix(url, "http://")
			return process.Program{Path: filepath.Join(bin, "dialer"), Args: []string{"-address", address}, Dir: dir}, nil
		}})
	case flooded:
		compared = compared[:1]
	}
	return compared
}

// wait is one waiter that waited in vain.
type wait struct {
	Kind   string `json:"kind"`
	Waiter string `json:"waiter"`
	process.Result
	// Ended is true for one that has ended by itself.
	Ended bool `json:"ended"`
	// Packets were sent on lo, by either side.
	Packets int `json:"packets"`
	// Tried are the connections that were asked for, Busiest the most of them in
	// any one second.
	Tried   int `json:"tried"`
	Busiest int `json:"busiest"`
}

// inside is one wait, in a namespace that was made for it. It prints a wait as
// JSON.
func inside(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(netns.Inside, flag.ContinueOnError)
	bin := flags.String("bin", "", "where the programs are")
	dir := flags.String("dir", "", "a directory of its own")
	which := flags.Int("kind", 0, "which kind")
	who := flags.Int("waiter", 0, "which waiter of that kind")
	howLong := flags.Duration("for", 0, "how long to wait")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := netns.Alone(); err != nil { // before anything else
		return err
	}
	if err := netns.Up("lo"); err != nil {
		return err
	}
	k := kinds()[*which]
	w, err := k.try(ctx, k.all(*bin)[*who], *bin, *dir, *howLong)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", w.Waiter, w.Kind, err)
	}
	return json.NewEncoder(stdout).Encode(w)
}

// errOver is the end of the time to wait.
var errOver = errors.New("waited long enough")

// try lets a waiter wait.
func (k kind) try(ctx context.Context, of waiters.Waiter, bin, dir string, howLong time.Duration) (w wait, err error) {
	w = wait{Kind: k.name, Waiter: of.Name}
	server, err := sim.Start(ctx, filepath.Join(bin, "simulator"), "-schedule", k.schedule)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	p, err := of.Program(dir, server.URL)
	if err != nil {
		return w, err
	}
	watched, err := capture.Start("lo")
	if err != nil {
		return w, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, howLong, errOver)
	defer cancel()
	came := make(chan error, 1)
	go func() { came <- flood(limited, k.flood, howLong) }()
	w.Result, err = process.Run(limited, p)
	cancel()
	sent, unseen := watched.Stop()
	w.Ended = err == nil
	if errors.Is(err, errOver) {
		err = nil
	}
	if err := errors.Join(err, unseen, <-came); err != nil {
		return w, err
	}
	w.Packets = len(sent)
	var tried []capture.Packet
	for _, packet := range sent {
		if packet.SYN {
			tried = append(tried, packet)
		}
	}
	w.Tried, w.Busiest = len(tried), capture.Busiest(tried, time.Second)
	return w, nil
}

// flood puts one address after the other on lo, so many in all, evenly, until ctx
// ends. Those of TEST-NET-2 (RFC 5737) are nobody's.
func flood(ctx context.Context, changes int, howLong time.Duration) error {
	if changes == 0 {
		return nil
	}
	tick := time.NewTicker(howLong / time.Duration(changes))
	defer tick.Stop()
	for i := range changes {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := netns.Add("lo:1", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})); err != nil {
			return err
		}
	}
	return nil
}
