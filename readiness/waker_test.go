// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// networkChanges returns a watch of a network that changes at these times.
func networkChanges(at ...time.Duration) func(context.Context) (<-chan struct{}, error) {
	return func(ctx context.Context) (<-chan struct{}, error) {
		c := make(chan struct{}, 1)
		go func() {
			defer close(c)
			start := time.Now()
			for _, a := range at {
				select {
				case <-time.After(a - time.Since(start)):
				case <-ctx.Done():
					return
				}
				select {
				case c <- struct{}{}:
				default:
				}
			}
			<-ctx.Done()
		}()
		return c, nil
	}
}

// A change of the network ends a pause, unless the last attempt was answered. The next
// attempt follows 2 ms later.
func TestChangeEndsAPause(t *testing.T) {
	for _, tt := range []struct {
		name, schedule string
		eager          bool
		changes        []time.Duration
		want           string // when the attempts begin
	}{
		{"no change", "unreachable:1s,ok", true, nil, "0s 50ms 150ms 350ms 750ms 1.25s"},
		{"at once", "unreachable:1s,ok", true, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.012s"},
		{"connection refused", "refuse:1s,ok", true, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.012s"},
		{"not after an answer", "503:1s,ok", true, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.25s"},
		{"not eager", "unreachable:1s,ok", false, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.25s"},
		{
			"the address comes 0.3 ms before its route", "unreachable:1000300us,ok", true,
			[]time.Duration{time.Second, 1000300 * time.Microsecond},
			"0s 50ms 150ms 350ms 750ms 1.002s",
		},
		{
			"a change while another one settles", "unreachable:1005ms,ok", true,
			[]time.Duration{time.Second, 1001 * time.Millisecond},
			"0s 50ms 150ms 350ms 750ms 1.002s 1.028s",
		},
		{ // the third attempt lasts from 650 to 900 ms, and the pause after it is not 200 but 0 ms
			"during an attempt", "blackhole:1s,ok", true, []time.Duration{800 * time.Millisecond}, "0s 300ms 650ms 902ms 1.552s",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.schedule).gateOnly()
			tr.config.Policy.Eager = tt.eager
			tr.watch = networkChanges(tt.changes...)
			tr.run(t)
			at := tr.connectTimes()
			if got := durations(at[:len(at)-1]); got != tt.want { // the last is the document's
				t.Errorf("attempts at %s\nwant        %s", got, tt.want)
			}
		})
	}
}

func durations(ds []time.Duration) string { return strings.Trim(fmt.Sprint(ds), "[]") }

// The 25 ms between two attempts count from when a request is sent, not from when its
// attempt began to wait for a place.
func TestChangeWhileWaitingForAPlace(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("hang@meta-data/**x1,refuse:2500ms,ok")...)
	tr := newTrial(t, sim).gateOnly().require("meta-data/mac", "meta-data/instance-id")
	tr.config.Metadata.Concurrency = 1
	tr.watch = networkChanges(time.Second)
	tr.run(t)
	var refused []time.Duration
	for _, r := range sim.Trace() {
		if r.Fault == "refuse" {
			refused = append(refused, r.At)
		}
	}
	if len(refused) < 3 {
		t.Fatalf("refused at %v", refused)
	}
	for i, at := range refused[2:] { // there are two paths
		if at-refused[i] < 25*time.Millisecond {
			t.Errorf("refused at %v: one path twice within 25 ms", refused)
		}
	}
}

// With many paths, each is tried at most once within 25 ms.
func TestFloodOfChangesForManyPaths(t *testing.T) {
	paths, tree := requiredLeaves(8)
	sim := imdstest.New(tree, imdstest.MustSchedule("ok:1ms,unreachable:10s,ok")...)
	sim.Latency = 600 * time.Microsecond
	tr := newTrial(t, sim).gateOnly().require(paths...)
	tr.watch = networkChanges(flood()...)
	last, tries := map[string]time.Time{}, 0
	var mu sync.Mutex
	tr.onLog = func(line string) {
		_, rest, failed := strings.Cut(line, `msg="attempt failed"`)
		if !failed || !strings.Contains(rest, "class=unreachable") {
			return
		}
		_, path, _ := strings.Cut(rest, " path=")
		path, _, _ = strings.Cut(path, " ")
		mu.Lock()
		defer mu.Unlock()
		if before, ok := last[path]; ok && time.Since(before) < 25*time.Millisecond {
			t.Errorf("%s is tried again after %v", path, time.Since(before))
		}
		last[path] = time.Now()
		tries++
	}
	tr.run(t)
	if len(last) != len(paths) || tries < 1000 {
		t.Errorf("%d tries of %d paths", tries, len(last))
	}
}

// flood returns a time for each millisecond of 10 s.
func flood() []time.Duration {
	times := make([]time.Duration, 10000)
	for i := range times {
		times[i] = time.Duration(i) * time.Millisecond
	}
	return times
}

// However often the network changes, there are never two attempts within 25 ms.
func TestFloodOfChanges(t *testing.T) {
	tr := faulty(t, "unreachable:10s,ok").gateOnly()
	tr.watch = networkChanges(flood()...)
	tr.run(t)
	var before time.Duration = -time.Second
	n := 0
	for _, r := range tr.sim.Trace() {
		if r.Fault != "unreachable" {
			continue
		}
		if n++; r.At-before < 25*time.Millisecond {
			t.Fatalf("attempts at %v and %v", before, r.At)
		}
		before = r.At
	}
	if n > 401 || tr.exit != readiness.ExitOK {
		t.Errorf("%d attempts in 10 s, exit %d", n, tr.exit)
	}
}

// Without netlink, pauses are not cut short. This is logged once, at debug.
func TestNoWatch(t *testing.T) {
	tr := faulty(t, "unreachable:1s,ok")
	tr.watch = func(context.Context) (<-chan struct{}, error) { return nil, errors.New("no netlink here") }
	tr.run(t)
	if tr.exit != readiness.ExitOK || strings.Count(tr.log, "no netlink here") != 1 ||
		!strings.Contains(tr.log, `level=DEBUG msg="watching the network" err="no netlink here"`) {
		t.Errorf("exit %d\n%s", tr.exit, tr.log)
	}
}
