// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// until cuts a trace behind the identity document.
func until(trace []string, path string) []string {
	for i, line := range trace {
		if strings.Contains(line, path) {
			return trace[:i+1]
		}
	}
	return trace
}

func TestSecondPUT(t *testing.T) {
	const document = " GET dynamic/instance-identity/document 200"
	for _, tt := range []struct {
		name, schedule string
		second         time.Duration
		want           []string
	}{
		{
			"the second answers", "hang@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token hang", "500ms PUT api/token 200", "500ms" + document},
		},
		{
			"any status answers", "hang@putx1,503@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token hang", "500ms PUT api/token 503", "550ms PUT api/token 200", "550ms" + document},
		},
		{
			"the first answers after all", "slow=700ms@putx1,hang@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 slow=700ms", "500ms PUT api/token hang", "700ms" + document},
		},
		{
			"the second fails: the first is waited for", "slow=700ms@putx1,reset@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 slow=700ms", "500ms PUT api/token reset", "700ms" + document},
		},
		{
			"the first stalls in its body: that is no answer", "stall@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 stall", "500ms PUT api/token 200", "500ms" + document},
		},
		{
			"the first drips: nor is that", "drip=100ms@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 drip=100ms", "500ms PUT api/token 200", "500ms" + document},
		},
		{
			"the second breaks off in its body: the first is waited for", "slow=700ms@putx1,truncate@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 slow=700ms", "500ms PUT api/token 200 truncate", "700ms" + document},
		},
		{
			"two hang: the third answers", "hang@putx2,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token hang", "500ms PUT api/token hang", "1s PUT api/token 200", "1s" + document},
		},
		{
			"four hang: one attempt, read_timeout after the first", "hang@putx4,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token hang", "500ms PUT api/token hang", "1s PUT api/token hang", "1.5s PUT api/token hang", "2.05s PUT api/token 200", "2.05s" + document},
		},
		{
			"four at most, however short the interval", "hang@putx4,ok", 100 * time.Millisecond,
			[]string{"0s PUT api/token hang", "100ms PUT api/token hang", "200ms PUT api/token hang", "300ms PUT api/token hang", "2.05s PUT api/token 200", "2.05s" + document},
		},
		{
			"the first answers after the second's token was refused", "slow=700ms@putx1,503@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 slow=700ms", "500ms PUT api/token 503", "550ms PUT api/token 200", "550ms" + document},
		},
		{
			"not asked for", "hang@putx1,ok", 0,
			[]string{"0s PUT api/token hang", "2.05s PUT api/token 200", "2.05s" + document},
		},
		{
			"an answer in time: none", "slow=400ms@putx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200 slow=400ms", "400ms" + document},
		},
		{
			"a GET is not doubled", "hang@getx1,ok", 500 * time.Millisecond,
			[]string{"0s PUT api/token 200", "0s GET dynamic/instance-identity/document hang", "2.05s" + document},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(tt.schedule)...))
			tr.config.Policy.Hedge = tt.second
			tr.config.Metadata.Include = nil
			tr.run(t)
			if got := until(tr.trace(), document); !slices.Equal(got, tt.want) {
				t.Errorf("trace:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if want := len(tt.want); tr.status.Requests != want {
				t.Errorf("%d requests counted, want %d", tr.status.Requests, want)
			}
		})
	}
}

// A first PUT that breaks off when the second is under way leaves that to be
// waited for.
func TestSecondPUTOutlivesTheFirst(t *testing.T) {
	tr := faulty(t, "truncate@putx1,ok").alone()
	tr.sim.Latency = 600 * time.Millisecond
	tr.config.Policy.Hedge = 500 * time.Millisecond
	tr.run(t)
	want := []time.Duration{0, 500 * time.Millisecond, 1100 * time.Millisecond}
	if got := tr.begins(); !slices.Equal(got, want) || tr.status.Attempts != 1 {
		t.Errorf("requests at %v, want %v, in %d attempts", got, want, tr.status.Attempts)
	}
}

// A server that accepts everything and answers nothing holds no more than four
// connections of an endpoint.
func TestHedgeHoldsFourConnections(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("hang")...)
	tr := newTrial(t, sim).patience(0, 30*time.Second)
	tr.config.Policy.Hedge = 500 * time.Millisecond
	tr.run(t)
	if tr.exit != readiness.ExitTempFail || tr.elapsed != 30*time.Second {
		t.Errorf("exit %d after %v", tr.exit, tr.elapsed)
	}
	var begun []time.Duration
	for _, r := range sim.Requests() {
		begun = append(begun, r.At)
	}
	// Each attempt lasts 2 s and has four requests, so of any five the first has ended
	// before the fifth begins.
	for i := 4; i < len(begun); i++ {
		if begun[i]-begun[i-4] < 2*time.Second {
			t.Errorf("five requests from %v to %v", begun[i-4], begun[i])
		}
	}
	if want := 4 * tr.status.Errors["read-timeout"]; len(begun) < want || want == 0 {
		t.Errorf("%d requests, %d attempts", len(begun), want/4)
	}
}

// news is a network that changes at the given times.
func news(at ...time.Duration) func(context.Context) (<-chan struct{}, error) {
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

func TestNewsEndAPause(t *testing.T) {
	for _, tt := range []struct {
		name, schedule string
		eager          bool
		news           []time.Duration
		want           string // the times of the connection attempts
	}{
		{"no news", "unreachable:1s,ok", true, nil, "0s 50ms 150ms 350ms 750ms 1.25s"},
		{"at once", "unreachable:1s,ok", true, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.01s"},
		{"refused too", "refuse:1s,ok", true, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.01s"},
		{"not after an answer", "503:1s,ok", true, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.25s"},
		{"not with eager = false", "unreachable:1s,ok", false, []time.Duration{1010 * time.Millisecond}, "0s 50ms 150ms 350ms 750ms 1.25s"},
		{
			"a burst is one: the address comes 0.3 ms before its route", "unreachable:1005ms,ok", true,
			[]time.Duration{time.Second, 1000300 * time.Microsecond, 1001 * time.Millisecond},
			"0s 50ms 150ms 350ms 750ms 1s 1.026s",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(tt.schedule)...)
			tr := newTrial(t, sim)
			tr.config.Policy.Eager = tt.eager
			tr.config.Metadata.Include = nil
			tr.watch = news(tt.news...)
			tr.run(t)
			var at []string
			for _, r := range sim.Trace() {
				if r.Kind == "SYN" {
					at = append(at, r.At.String())
				}
			}
			got := strings.Join(at[:len(at)-1], " ") // the last is the document's
			if got != tt.want {
				t.Errorf("attempts at %s\nwant        %s", got, tt.want)
			}
		})
	}
}

// News that comes during an attempt ends the pause after it.
func TestNewsDuringAnAttempt(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("blackhole:1s,ok")...)
	tr := newTrial(t, sim)
	tr.config.Metadata.Include = nil
	tr.watch = news(800 * time.Millisecond) // the third attempt lasts from 650 to 900 ms
	tr.run(t)
	var at []string
	for _, r := range sim.Trace() {
		if r.Kind == "SYN" {
			at = append(at, r.At.String())
		}
	}
	// 250 ms each, with pauses of 50, 100, 0 (it was 200) and 400 ms.
	if got, want := strings.Join(at[:len(at)-1], " "), "0s 300ms 650ms 900ms 1.55s"; got != want {
		t.Errorf("attempts at %s, want %s", got, want)
	}
}

// What counts is when a request goes out, not when its attempt began to wait for a
// place among the others.
func TestNewsWhileWaitingForAPlace(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("hang@meta-data/**x1,refuse:2500ms,ok")...)
	tr := newTrial(t, sim).alone().require("meta-data/mac", "meta-data/instance-id")
	tr.config.Metadata.Concurrency = 1
	tr.watch = news(time.Second)
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
	for i, at := range refused[2:] { // two paths, each at its own pace
		if at-refused[i] < 25*time.Millisecond {
			t.Errorf("refused at %v, so one path twice within 25 ms", refused)
		}
	}
}

// Many paths are held back by the pace; each is tried no more often for that.
func TestFloodOfNewsForManyPaths(t *testing.T) {
	paths, tree := leaves(8)
	sim := imdstest.New(tree, imdstest.MustSchedule("ok:1ms,unreachable:10s,ok")...)
	sim.Latency = 600 * time.Microsecond
	tr := newTrial(t, sim).alone().require(paths...)
	flood := make([]time.Duration, 10000)
	for i := range flood {
		flood[i] = time.Duration(i) * time.Millisecond
	}
	tr.watch = news(flood...)
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

// A flood of news is no flood of requests: never two attempts within 25 ms.
func TestFloodOfNews(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("unreachable:10s,ok")...)
	tr := newTrial(t, sim)
	tr.config.Metadata.Include = nil
	var flood []time.Duration
	for i := range 10000 {
		flood = append(flood, time.Duration(i)*time.Millisecond)
	}
	tr.watch = news(flood...)
	tr.run(t)
	var before time.Duration = -time.Second
	n := 0
	for _, r := range sim.Trace() {
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

// Without netlink the backoff does it alone, and says so once, at debug.
func TestNoNews(t *testing.T) {
	tr := newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("unreachable:1s,ok")...))
	tr.watch = func(context.Context) (<-chan struct{}, error) { return nil, errors.New("no netlink here") }
	synctest.Test(t, func(t *testing.T) { tr.here(t) })
	if tr.exit != readiness.ExitOK || strings.Count(tr.log, "no netlink here") != 1 ||
		!strings.Contains(tr.log, `level=DEBUG msg="watching the network" err="no netlink here"`) {
		t.Errorf("exit %d\n%s", tr.exit, tr.log)
	}
}
