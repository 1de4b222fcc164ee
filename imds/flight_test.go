// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// later answers after a while.
func later(d time.Duration, raw string) script {
	return func(p *peer) { p.wait(d); p.say(raw) }
}

// together makes n Gets at once.
func together(t *testing.T, c *imds.Client, n int) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = c.Get(t.Context(), "x") })
	}
	wg.Wait()
	return errs
}

func TestOneTokenInTheMaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(later(time.Second, grant("TOKEN", "60")), nil)
		c := w.client(four)
		for round := 1; round <= 2; round++ {
			for i, err := range together(t, c, 50) {
				if err != nil {
					t.Errorf("Get %d: %v", i, err)
				}
			}
			if got := c.Requests(); got != round*51 {
				t.Errorf("round %d: Requests = %d, want %d", round, got, round*51)
			}
			if got := w.count("PUT"); got != 1 {
				t.Errorf("round %d: %d PUTs for 50 Gets", round, got)
			}
			pass(time.Minute) // past the token's end
		}
	})
}

// One failure is everybody's failure, and the next attempt is a new one.
func TestFailedTokenIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(later(time.Second, answer("503 Busy", "Retry-After: 7\r\n", "")), nil)
		c := w.client(four)
		for _, err := range together(t, c, 50) {
			if e := failed(t)(nil, err); e.Status != 503 || e.RetryAfter != 7*time.Second {
				t.Errorf("got %+v", e)
			}
		}
		w.expect(t, "0s SYN four, 0s PUT four")
		w.put = nil
		mustGet(t, c)
		if got := w.count("PUT"); got != 1 {
			t.Errorf("%d PUTs after the failure, want 1", got)
		}
	})
}

// The one who asked first may leave: the others still get the token.
func TestWaiterLeavesEarly(t *testing.T) {
	for _, first := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(later(time.Second, grant("TOKEN", "60")), nil)
			c := w.client(four)
			stop := errors.New("stopped")
			impatient, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(400*time.Millisecond, func() { cancel(stop) })
			contexts := []context.Context{t.Context(), impatient}
			if first {
				slices.Reverse(contexts)
			}
			errs := make(map[context.Context]error)
			var mu sync.Mutex
			var wg sync.WaitGroup
			for _, ctx := range contexts {
				wg.Go(func() {
					_, err := c.Get(ctx, "x")
					mu.Lock()
					defer mu.Unlock()
					errs[ctx] = err
					if ctx == impatient && w.now() != 400*time.Millisecond {
						t.Errorf("left at %v", w.now())
					}
				})
				synctest.Wait()
			}
			wg.Wait()
			if e := failed(t)(nil, errs[impatient]); !errors.Is(e, stop) || !e.Connected || e.Op != "PUT" || e.Timeout() {
				t.Errorf("first=%v: %+v, want the cause, connected, no timeout", first, e)
			}
			if err := errs[t.Context()]; err != nil {
				t.Errorf("first=%v: the one who stayed: %v", first, err)
			}
			w.expect(t, "0s SYN four, 0s PUT four, 1s SYN four, 1s GET four /latest/x")
		})
	}
}

// The last one who leaves ends the request; who comes after makes a new one.
func TestLastWaiterCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(hangs, nil)
		c := w.client(four)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*100*time.Millisecond)
				defer cancel()
				if _, err := c.Get(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("waiter %d: %v", i, err)
				}
				if want := time.Duration(i+1) * 100 * time.Millisecond; w.now() != want {
					t.Errorf("waiter %d left at %v, want %v", i, w.now(), want)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if want := []string{"300ms PUT four"}; !slices.Equal(w.ended, want) {
			t.Errorf("connections ended: %q, want %q", w.ended, want)
		}
		w.put = nil
		mustGet(t, c)
		w.expect(t, "0s SYN four, 0s PUT four, 300ms SYN four, 300ms PUT four, 300ms SYN four, 300ms GET four")
	})
}

// A request that takes its time to end does not hold up the next one, nor does
// its end spoil it.
func TestNewTokenBesideACancelledOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		w.dial = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			pass(100 * ms)
			return ctx.Err()
		}
		c := w.client(four)
		ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
		defer cancel()
		failed(t)(c.Get(ctx, "x"))
		w.dial = nil
		mustGet(t, c)
		pass(time.Second)
		mustGet(t, c)
		w.expect(t, "0s SYN four, 50ms SYN four, 50ms PUT four, 50ms SYN four, 50ms GET four, 1.05s SYN four, 1.05s GET four")
	})
}
