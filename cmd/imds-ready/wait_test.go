// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// How long wait waits in all, if it sees these statuses a minute after its start and
// then once a minute.
func TestWaitLimit(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // by a clock that is set later
	gate := func(run int, deadline, elapsed time.Duration) snapshot.Status {
		started := began.Add(time.Duration(run) * time.Second)
		st := snapshot.Status{State: snapshot.Waiting, StartedAt: &started, Elapsed: snapshot.Seconds(elapsed)}
		if deadline > 0 {
			st.DeadlineAt = new(started.Add(deadline))
		}
		return st
	}
	follow := waitLimit{follow: true}
	for _, tt := range []struct {
		name  string
		limit waitLimit
		seen  []snapshot.Status
		want  time.Duration // 0: forever
	}{
		{"no status", follow, []snapshot.Status{{}, {}}, 6 * time.Minute},
		{"the default deadline", follow, []snapshot.Status{gate(0, 5*time.Minute, 10*time.Second)}, 6*time.Minute + 30*time.Second},
		{"a short deadline", follow, []snapshot.Status{gate(0, 10*time.Second, 0)}, 6 * time.Minute},
		{"a long deadline", follow, []snapshot.Status{gate(0, time.Hour, 50*time.Second)}, time.Hour + 50*time.Second},
		{"the same run again", follow, []snapshot.Status{gate(0, time.Hour, 0), gate(0, time.Hour, 0)}, time.Hour + 100*time.Second},
		{"a second run", follow, []snapshot.Status{gate(0, time.Hour, 0), gate(1, time.Hour, 0)}, time.Hour + 160*time.Second},
		{"a gate that never gives up", follow, []snapshot.Status{gate(0, 0, 0)}, 0},
		{"it vanishes", follow, []snapshot.Status{gate(0, time.Hour, 0), {}}, time.Hour + 100*time.Second},
		{"never gives up, and then another", follow, []snapshot.Status{gate(0, 0, 0), gate(1, time.Minute, 0)}, 6 * time.Minute},
		{"--timeout", waitLimit{timeout: 2 * time.Minute}, []snapshot.Status{gate(0, time.Hour, 0)}, 2 * time.Minute},
		{"--timeout 0", waitLimit{}, []snapshot.Status{gate(0, time.Hour, 0)}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := tt.limit
				l.begin()
				for _, st := range tt.seen {
					time.Sleep(time.Minute)
					l.observe(st)
				}
				ctx, cancel := l.context(t.Context())
				defer cancel()
				end, limited := ctx.Deadline()
				if limited != (tt.want > 0) || limited && end.Sub(l.start) != tt.want {
					t.Fatalf("it ends after %v (%v), want %v", end.Sub(l.start), limited, tt.want)
				}
				if !limited {
					return
				}
				time.Sleep(time.Until(end) - time.Nanosecond)
				if l.reached() {
					t.Error("the limit is reached too early")
				}
				time.Sleep(time.Nanosecond)
				if !l.reached() {
					t.Error("the limit is not reached at the end")
				}
			})
		})
	}
}

// Without a terminal, wait says once that there is no status, and only after a while.
func TestWaitWithoutStatus(t *testing.T) {
	none := snapshot.Progress{Err: fs.ErrNotExist}
	for _, tt := range []struct {
		name string
		seen []snapshot.Progress // once a second
		want []string
	}{
		{"soon there", []snapshot.Progress{none, none, none, none, none, {}, {}}, nil},
		{"never there", []snapshot.Progress{none, none, none, none, none, none, none, none}, []string{
			"waiting for imds-ready, 5 s: no status from this boot in /run/imds",
		}},
		{"a gate that waits", make([]snapshot.Progress, 10), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var printed []string
				l := &progressLine{start: time.Now(), print: func(text string) { printed = append(printed, text) }}
				for _, s := range tt.seen {
					l.show("/run/imds", s)
					l.clear()
					time.Sleep(time.Second)
				}
				if !slices.Equal(printed, tt.want) {
					t.Errorf("%q, want %q", printed, tt.want)
				}
			})
		})
	}
}
