// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

const (
	startTimeout = 60 * time.Second // the unit's TimeoutStartSec=
	slack        = 30 * time.Second // what each extension adds to the length of its step
)

// extension returns the value of EXTEND_TIMEOUT_USEC=.
func (n datagram) extension() (time.Duration, bool) {
	for line := range strings.SplitSeq(n.state, "\n") {
		if v, ok := strings.CutPrefix(line, "EXTEND_TIMEOUT_USEC="); ok {
			usec, err := strconv.ParseInt(v, 10, 64)
			return time.Duration(usec) * time.Microsecond, err == nil
		}
	}
	return 0, false
}

// wantNoTimeout checks that systemd, which never shortens a timeout, has no reason to
// kill the daemon at any moment.
func (tr *trial) wantNoTimeout(t tester) {
	t.Helper()
	until := startTimeout
	for _, n := range tr.datagrams {
		if n.at > until {
			t.Errorf("systemd kills at %v, before %q at %v", until, n.state, n.at)
			return
		}
		if p, ok := n.extension(); ok {
			until = max(until, n.at+p)
		}
	}
	if tr.elapsed > until {
		t.Errorf("systemd kills at %v, before the end at %v", until, tr.elapsed)
	}
}

// wantStepsExtended checks that each extension covers the step after it and 30 s. There
// must be one path at a time, so that the next extension ends the step.
func (tr *trial) wantStepsExtended(t *testing.T) {
	t.Helper()
	var last datagram
	for i, n := range append(tr.datagrams, datagram{at: tr.elapsed, state: "EXTEND_TIMEOUT_USEC=0"}) {
		if _, ok := n.extension(); !ok {
			continue
		}
		if p, ok := last.extension(); ok && n.at-last.at > p-slack {
			t.Errorf("datagram %d: extended by %v at %v for a step of %v", i, p, last.at, n.at-last.at)
		}
		last = n
	}
	if last.state == "" {
		t.Error("there is no extension")
	}
}

// Every kind of failure, in the gate and in the collection.
func TestExtend(t *testing.T) {
	for _, fault := range []string{
		"", "refuse:3m,ok", "unreachable:3m,ok", "blackhole:3m,ok", "hang:3m,ok", "stall@get:3m,ok", "drip:3m,ok", "slow=1900ms:3m,ok",
		"429;retry-after=30:3m,ok", "404@put:3m,ok", "reset:3m,ok", "html:3m,ok",
		"hang@meta-data/**", "503;retry-after=9@meta-data/**", "slow=1900ms@meta-data/**",
	} {
		t.Run(fault, func(t *testing.T) {
			tr := faulty(t, fault)
			tr.config.Metadata.Concurrency = 1
			tr.config.Metadata.CollectDeadline = 3 * time.Minute
			tr.run(t)
			tr.wantNoTimeout(t)
			tr.wantStepsExtended(t)
			if tr.exit != readiness.ExitOK {
				t.Errorf("exit %d", tr.exit)
			}
		})
	}
}

// A race takes longer than one side, because of the head start.
func TestExtendOfARace(t *testing.T) {
	tr := faulty(t, "hang@ipv6:1m,ok").also("blackhole@ipv4")
	tr.client.Endpoints = []string{"http://127.0.0.1:1338", "http://[::1]:1338"}
	tr.gateOnly().run(t)
	tr.wantNoTimeout(t)
	tr.wantStepsExtended(t)
}

// also adds a second schedule.
func (tr *trial) also(schedule string) *trial {
	tr.sim.Also(imdstest.MustSchedule(schedule)...)
	return tr
}

// Timeouts and pauses may be up to an hour.
func TestExtendLongSteps(t *testing.T) {
	tr := faulty(t, "hang:5h,refuse:5h,blackhole:5h,ok").limits(0, 0).gateOnly()
	p := &tr.config.Policy
	p.ConnectTimeout, p.ReadTimeout, p.Backoff.Initial, p.Backoff.Max = time.Hour, time.Hour, time.Minute, time.Hour
	tr.run(t)
	tr.wantNoTimeout(t)
	tr.wantStepsExtended(t)
}

// If paths wait for each other, an attempt and its extension begin when its turn comes.
func TestExtendWhileWaitingForAPlace(t *testing.T) {
	paths, tree := requiredLeaves(8)
	tr := newTrial(t, imdstest.New(tree)).require(paths...).limits(0, 0).gateOnly()
	tr.sim.Latency = 55 * time.Second
	tr.config.Policy.ReadTimeout = time.Minute
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	if tr.elapsed != 10*tr.sim.Latency+tr.config.Metadata.CollectDeadline {
		t.Errorf("took %v", tr.elapsed)
	}
	tr.wantNoTimeout(t)
}

// The listing of roles needs two GETs, and each may need a new token.
func TestExtendOfTwoGETs(t *testing.T) {
	tr := faulty(t, "").require("meta-data/iam/security-credentials/").limits(0, 0).gateOnly()
	tr.sim.Latency = 55 * time.Second
	tr.client.TokenTTL = time.Minute // renewed 6 s early, so that each GET needs a new one
	tr.config.Policy.ReadTimeout = time.Minute
	tr.run(t)
	if tr.exit != readiness.ExitOK {
		t.Errorf("exit %d", tr.exit)
	}
	tr.wantNoTimeout(t)
}

// A collection that is paced slowly.
func TestExtendWhilePaced(t *testing.T) {
	for _, concurrency := range []int{1, 16} {
		tr := faulty(t, "503@meta-data/**:20s,ok")
		tr.config.Metadata.RequestsPerSecond = 1
		tr.config.Metadata.Concurrency = concurrency
		tr.config.Metadata.CollectDeadline = 0
		tr.run(t)
		tr.wantNoTimeout(t)
	}
}
