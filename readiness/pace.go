// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"sync"
	"time"
)

// pacer lets at most as many requests begin in any one second as it has slots:
// EC2 drops what an interface sends to link-local addresses above 1024 packets
// a second, silently and for everybody on the machine (AWS EC2 User Guide,
// "Packet limits for link-local services").
type pacer struct {
	mu    sync.Mutex // not held while waiting
	slots []time.Time
	next  int
}

func newPacer(perSecond int) *pacer { return &pacer{slots: make([]time.Time, perSecond)} }

// paceWindow is the second, and what a busy machine may delay one request more
// than another between its turn and its first packet: measured at the other end,
// a bare second let 8 % too many through.
const paceWindow = 1050 * time.Millisecond

// wait takes a turn and sleeps until it comes. The n-th request from now begins
// a second and a little after the one that had its slot before, which counts from when
// that one really began.
func (p *pacer) wait(ctx context.Context) error {
	now := time.Now()
	p.mu.Lock()
	slot := p.next
	before := p.slots[slot]
	turn := before.Add(paceWindow)
	if turn.Before(now) {
		turn = now
	}
	p.slots[slot] = turn
	p.next = (slot + 1) % len(p.slots)
	p.mu.Unlock()
	err := pause(ctx, turn.Sub(now), nil)
	begun := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && begun.After(p.slots[slot]):
		p.slots[slot] = begun
	case err != nil && p.slots[slot].Equal(turn): // it never begins, and leaves its turn
		p.slots[slot] = before
	}
	return err
}

// pause sleeps for d, or until there is news (nil: none comes), or until the
// context ends, and returns its cause then.
func pause(ctx context.Context, d time.Duration, news <-chan struct{}) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-news:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
