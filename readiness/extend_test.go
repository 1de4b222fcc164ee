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
	slack        = 30 * time.Second // what every promise has beyond its step
)

// promise is what EXTEND_TIMEOUT_USEC= of a datagram asks for.
func (n note) promise() (time.Duration, bool) {
	for line := range strings.SplitSeq(n.state, "\n") {
		if v, ok := strings.CutPrefix(line, "EXTEND_TIMEOUT_USEC="); ok {
			usec, err := strconv.ParseInt(v, 10, 64)
			return time.Duration(usec) * time.Microsecond, err == nil
		}
	}
	return 0, false
}

// tester is a test or a property.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
}

// wantPromisesKept plays systemd, which never shortens a timeout: at no moment
// may it have reason to kill.
func (tr *trial) wantPromisesKept(t tester) {
	t.Helper()
	until := startTimeout
	for _, n := range tr.notes {
		if n.at > until {
			t.Errorf("systemd has killed at %v, before %q at %v", until, n.state, n.at)
			return
		}
		if p, ok := n.promise(); ok {
			until = max(until, n.at+p)
		}
	}
	if tr.elapsed > until {
		t.Errorf("systemd has killed at %v, before the end at %v", until, tr.elapsed)
	}
}

// wantStepsPromised wants each promise to be the step that follows it and 30 s,
// or more. One path at a time, so that the next promise ends the step.
func (tr *trial) wantStepsPromised(t *testing.T) {
	t.Helper()
	var last note
	for i, n := range append(tr.notes, note{at: tr.elapsed, state: "EXTEND_TIMEOUT_USEC=0"}) {
		if _, ok := n.promise(); !ok {
			continue
		}
		if p, ok := last.promise(); ok && n.at-last.at > p-slack {
			t.Errorf("datagram %d: promised %v at %v for a step of %v", i, p, last.at, n.at-last.at)
		}
		last = n
	}
	if last.state == "" {
		t.Error("nothing was promised")
	}
}

// The promises hold for every kind of failure, in the gate and in the crawl.
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
			tr.wantPromisesKept(t)
			tr.wantStepsPromised(t)
			if tr.exit != readiness.ExitOK {
				t.Errorf("exit %d", tr.exit)
			}
		})
	}
}

// A race takes its head start longer than one side.
func TestExtendOfARace(t *testing.T) {
	tr := faulty(t, "hang@ipv6:1m,ok").also("blackhole@ipv4")
	tr.client.Endpoints = []string{"http://127.0.0.1:1338", "http://[::1]:1338"}
	tr.alone().run(t)
	tr.wantPromisesKept(t)
	tr.wantStepsPromised(t)
}

// also adds a schedule beside the first.
func (tr *trial) also(schedule string) *trial {
	tr.sim.Also(imdstest.MustSchedule(schedule)...)
	return tr
}

// Long timeouts and backoffs are valid, up to an hour each.
func TestExtendLongSteps(t *testing.T) {
	tr := faulty(t, "hang:5h,refuse:5h,blackhole:5h,ok").patience(0, 0).alone()
	p := &tr.config.Policy
	p.ConnectTimeout, p.ReadTimeout, p.Backoff.Initial, p.Backoff.Max = time.Hour, time.Hour, time.Minute, time.Hour
	tr.run(t)
	tr.wantPromisesKept(t)
	tr.wantStepsPromised(t)
}

// Paths that wait for each other: the attempt begins when its turn comes, and
// so must the promise.
func TestExtendWhileWaitingForAPlace(t *testing.T) {
	paths, tree := leaves(8)
	tr := newTrial(t, imdstest.New(tree)).require(paths...).patience(0, 0).alone()
	tr.sim.Latency = 55 * time.Second
	tr.config.Policy.ReadTimeout = time.Minute
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	if tr.elapsed != 10*tr.sim.Latency+tr.config.Metadata.CollectDeadline {
		t.Errorf("took %v", tr.elapsed)
	}
	tr.wantPromisesKept(t)
}

// The listing of roles is two GETs, each of which may need a new token first.
func TestExtendOfTwoGETs(t *testing.T) {
	tr := faulty(t, "").require("meta-data/iam/security-credentials/").patience(0, 0).alone()
	tr.sim.Latency = 55 * time.Second
	tr.client.TokenTTL = time.Minute // renewed 6 s early: each GET asks for its own
	tr.config.Policy.ReadTimeout = time.Minute
	tr.run(t)
	if tr.exit != readiness.ExitOK {
		t.Errorf("exit %d", tr.exit)
	}
	tr.wantPromisesKept(t)
}

// A crawl that is paced slowly keeps its promises too.
func TestExtendWhilePaced(t *testing.T) {
	for _, concurrency := range []int{1, 16} {
		tr := faulty(t, "503@meta-data/**:20s,ok")
		tr.config.Metadata.RequestsPerSecond = 1
		tr.config.Metadata.Concurrency = concurrency
		tr.config.Metadata.CollectDeadline = 0
		tr.run(t)
		tr.wantPromisesKept(t)
	}
}
