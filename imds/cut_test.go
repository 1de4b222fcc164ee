// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// A race is cut by a deadline like anything else, and both sides end.
func TestRaceIsCut(t *testing.T) {
	for _, tt := range []struct {
		first, second side
		connected     bool
	}{{side{hole: true}, side{hole: true}, false}, {side{put: hangs}, side{hole: true}, true}, {side{hole: true}, side{put: hangs}, true}} {
		synctest.Test(t, func(t *testing.T) {
			w := race(tt.first, tt.second)
			ctx, cancel := context.WithTimeout(t.Context(), 200*ms)
			defer cancel()
			e := failed(t)(w.client(four, six).Get(ctx, "x"))
			synctest.Wait()
			if len(w.ended) > 0 && w.ended[0][:5] != "200ms" {
				t.Errorf("connections ended: %q", w.ended)
			}
			if w.now() != 200*ms || e.Connected != tt.connected || !errors.Is(e, context.DeadlineExceeded) {
				t.Errorf("%+v at %v, want the deadline, at 200ms, connected: %v", e, w.now(), tt.connected)
			}
		})
	}
}

// A caller who leaves says nothing about the winner: it has not failed, and
// its token is as good as before.
func TestCutKeepsTheWinner(t *testing.T) {
	for name, cut := range map[string]script{"in the answer": hangs, "in the body": drip(head, 50*ms)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := won(t)
				get := w.get
				w.get = cut
				ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
				defer cancel()
				if e := failed(t)(c.Get(ctx, "x")); !errors.Is(e, context.DeadlineExceeded) {
					t.Errorf("got %v", e)
				}
				w.took()
				w.get = get
				mustGet(t, c)
				w.expect(t, "250ms SYN six, 250ms GET six")
			})
		})
	}
}

// The same where the request has not even begun.
func TestCutBeforeTheRequestKeepsTheWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		c.Pace = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		if e := failed(t)(c.Get(ctx, "x")); !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("got %v", e)
		}
		c.Pace = nil
		mustGet(t, c)
		w.expect(t, "250ms SYN six, 250ms GET six")
	})
}

// The same for the winner's PUT. The error names the endpoint that was asked.
func TestCutOfTheWinnersPUT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		put := w.put
		w.put = hangs
		pass(time.Minute) // the token has ended
		ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		e := failed(t)(c.Get(ctx, "x"))
		if e.Op != "PUT" || e.Endpoint != six || !e.Connected || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("got %+v, want the deadline, of a PUT to %s", e, six)
		}
		synctest.Wait()
		w.took()
		w.put = put
		mustGet(t, c)
		w.expect(t, "1m0.25s SYN six, 1m0.25s PUT six, 1m0.25s SYN six, 1m0.25s GET six")
	})
}

// Endpoint is the one that answered last, even if another has won since.
func TestEndpointAnsweredLast(t *testing.T) {
	for _, status := range []string{"200 OK", "404 Not Found"} {
		synctest.Test(t, func(t *testing.T) {
			w := race(side{}, side{})
			c := w.client(four, six)
			mustGet(t, c)
			w.get = later(time.Second, answer(status, "", "late"))
			done := make(chan struct{})
			go func() { c.Get(t.Context(), "x"); close(done) }()
			synctest.Wait()

			w.get = silent // the winner is lost
			mustFail(t, c)
			w.get, w.dial = nil, func(_ context.Context, addr string) error {
				if addr == addrFour {
					return syscall.ECONNREFUSED
				}
				return nil
			}
			mustGet(t, c)
			if got := c.Endpoint(); got != six {
				t.Errorf("Endpoint = %q, want %q", got, six)
			}
			<-done
			if got := c.Endpoint(); got != four {
				t.Errorf("after a late %s: Endpoint = %q, want %q", status, got, four)
			}
		})
	}
}

// A context that ends before its request was sent: the cause, the fact that
// nothing was asked of the service, and nothing asked of it.
func TestNotBegun(t *testing.T) {
	stop := errors.New("terminated by a signal")
	for _, tt := range []struct {
		name        string
		held, paced bool // a token; ended while Pace delays, or long before
	}{
		{"ended before the PUT", false, false},
		{"ended before the GET", true, false},
		{"ended while the PUT is paced", false, true},
		{"ended while the GET is paced", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(nil, nil)
				c := w.client(four)
				if tt.held {
					mustGet(t, c)
				}
				c.Pace = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				before := c.Requests()
				w.took()
				ctx, cancel := context.WithCancelCause(t.Context())
				end := time.Duration(0)
				if tt.paced {
					end = time.Second
					time.AfterFunc(end, func() { cancel(stop) })
				} else {
					cancel(stop)
				}
				e := failed(t)(c.Get(ctx, "x"))
				if !errors.Is(e, stop) || !errors.Is(e, imds.ErrNotBegun) || e.Connected || e.Timeout() || w.now() != end {
					t.Errorf("got %+v at %v, want not begun, the cause, no connection, at %v", e, w.now(), end)
				}
				w.expect(t, "")
				if c.Requests() != before {
					t.Errorf("%d requests", c.Requests()-before)
				}
			})
		})
	}
}
