// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// latency holds answers back. A timer of the Go runtime will not do below a
// millisecond: an idle process sleeps in epoll_wait, which counts in whole
// milliseconds, so that 300 microseconds would be 1.2 ms (measured). nanosleep
// is late by a nearly constant time, and that is taken off.
type latency struct{ want, late time.Duration }

// calibrate measures how late nanosleep is on this machine.
func calibrate(want time.Duration) latency {
	const trial = 200 * time.Microsecond
	var over []time.Duration
	for range 64 {
		start := time.Now()
		nanosleep(trial)
		over = append(over, time.Since(start)-trial)
	}
	slices.Sort(over)
	return latency{want: want, late: over[len(over)/2]}
}

// wait blocks the goroutine's thread for about as long as is wanted.
func (l latency) wait() {
	if d := l.want - l.late; d > 0 {
		nanosleep(d)
	}
}

// measure returns the median of what wait really takes.
func (l latency) measure() time.Duration {
	var took []time.Duration
	for range 65 {
		start := time.Now()
		l.wait()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func nanosleep(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
