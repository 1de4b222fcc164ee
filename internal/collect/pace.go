// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"sync"
	"time"
)

// Pacer bounds how many requests begin in any one second: EC2 silently drops
// packets to link-local addresses above 1024 a second and interface, for every
// program on the machine (AWS EC2 User Guide, "Packet limits for link-local
// services"). It is safe for concurrent use.
type Pacer struct {
	mu    sync.Mutex // not held while waiting
	slots []time.Time
	next  int
}

// NewPacer returns a Pacer for a number of requests per second, at least one.
func NewPacer(perSecond int) *Pacer { return &Pacer{slots: make([]time.Time, max(1, perSecond))} }

// paceWindow is a second and a margin, because a busy machine delays requests
// differently between their turn and their first packet. Measured at the other end, a
// window of exactly one second let 8 % too many through.
const paceWindow = 1050 * time.Millisecond

// Wait reserves a turn and sleeps until it comes, or returns the cause of the end of
// the context. A request begins one window after the previous request of its slot
// really began.
func (p *Pacer) Wait(ctx context.Context) error {
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
	err := sleep(ctx, turn.Sub(now))
	begun := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && begun.After(p.slots[slot]):
		p.slots[slot] = begun
	case err != nil && p.slots[slot].Equal(turn): // the request never begins, so its turn is returned
		p.slots[slot] = before
	}
	return err
}

// sleep returns after d, or with the cause of the end of the context.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
