// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// side is one endpoint of a race: how its connect and its PUT go.
type side struct {
	connect error         // nil: it works
	hole    bool          // or the SYN is lost
	slow    time.Duration // before the connect comes to anything
	put     script        // nil: a token
}

// race is a wire with two sides.
func race(first, second side) *wire {
	w := newWire(nil, nil)
	sides := map[string]side{addrFour: first, addrSix: second}
	w.dial = func(ctx context.Context, addr string) error {
		s := sides[addr]
		if s.hole {
			return blackHole(ctx)
		}
		select {
		case <-time.After(s.slow):
			return s.connect
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.put = func(p *peer) {
		if put := sides[p.addr].put; put != nil {
			put(p)
			return
		}
		p.say(grant("TOKEN-OF-"+short(p.addr), "60"))
	}
	w.get = func(p *peer) { p.say(ok(p.token)) }
	return w
}

func TestRace(t *testing.T) {
	refused := syscall.ECONNREFUSED
	for _, tt := range []struct {
		name          string
		first, second side
		endpoint      string // the one that answered
		trace         string
	}{
		{"at once", side{}, side{}, four, "0s SYN four, 0s PUT four, 0s SYN four, 0s GET four"},
		{"just in time", side{put: later(150*ms-1, grant("T", "60"))}, side{}, four, "0s SYN four, 0s PUT four, 149.999999ms SYN four, 149.999999ms GET four"},
		{"the first hangs", side{put: hangs}, side{}, six, "0s SYN four, 0s PUT four, 150ms SYN six, 150ms PUT six, 150ms SYN six, 150ms GET six"},
		{"the first's SYN is lost", side{hole: true}, side{}, six, "0s SYN four, 150ms SYN six, 150ms PUT six, 150ms SYN six, 150ms GET six"},
		{"the first is refused", side{connect: refused}, side{}, six, "0s SYN four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"refused after 100 ms", side{connect: refused, slow: 100 * ms}, side{}, six, "0s SYN four, 100ms SYN six, 100ms PUT six, 100ms SYN six, 100ms GET six"},
		{"the first breaks", side{put: silent}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"the first is not HTTP", side{put: says("SSH-2.0-x\r\n")}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"late and still the first", side{put: later(200*ms, grant("T", "60"))}, side{put: hangs}, four, "0s SYN four, 0s PUT four, 150ms SYN six, 150ms PUT six, 200ms SYN four, 200ms GET four"},
		{"the second fails meanwhile", side{put: later(200*ms, grant("T", "60"))}, side{connect: refused}, four, "0s SYN four, 0s PUT four, 150ms SYN six, 200ms SYN four, 200ms GET four"},
		{"an answer without a token settles nothing", side{put: says(answer("503 Busy", "", ""))}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"nor does a bad token", side{put: says(grant("a b", "60"))}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"the second's answer ends nothing", side{put: later(time.Second, grant("T", "60"))}, side{put: says(answer("403 Forbidden", "", ""))}, four, "0s SYN four, 0s PUT four, 150ms SYN six, 150ms PUT six, 1s SYN four, 1s GET four"},
		{"the second is waited for 250 ms more", side{put: says(answer("403 Forbidden", "", ""))}, side{put: later(250*ms-1, grant("T", "60"))}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 249.999999ms SYN six, 249.999999ms GET six"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := race(tt.first, tt.second)
				c := w.client(four, six)
				body, err := c.Get(t.Context(), "meta-data/x")
				if err != nil || body == nil {
					t.Fatalf("got %q, %v", body, err)
				}
				w.expect(t, tt.trace)
				if c.Endpoint() != tt.endpoint {
					t.Errorf("Endpoint = %q, want %q", c.Endpoint(), tt.endpoint)
				}
				if want := strings.Count(tt.trace, "SYN"); c.Requests() != want {
					t.Errorf("Requests = %d, want %d: each side counts", c.Requests(), want)
				}
			})
		})
	}
}

// The first endpoint leads, whichever it is.
func TestRaceIsInTheOrderGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := race(side{}, side{put: hangs})
		if got := mustGet(t, w.client(six, four)); got != "TOKEN-OF-four" {
			t.Errorf("token %q", got)
		}
		w.expect(t, "0s SYN six, 0s PUT six, 150ms SYN four, 150ms PUT four, 150ms SYN four, 150ms GET four")
	})
}

// Both sides fail: the first's failure, with the other's beside it, when the
// last of the two is through.
func TestRaceBothFail(t *testing.T) {
	malformed := says("SSH-2.0-x\r\n")
	for _, tt := range []struct {
		name          string
		first, second side
		after         time.Duration
		wantFirst     error // nil: a timeout
		wantOther     error
	}{
		{"refused twice", side{connect: syscall.ECONNREFUSED}, side{connect: syscall.ECONNREFUSED}, 0, syscall.ECONNREFUSED, syscall.ECONNREFUSED},
		{"refused and lost", side{connect: syscall.ECONNREFUSED}, side{hole: true}, 250 * ms, syscall.ECONNREFUSED, nil},
		{"lost and refused", side{hole: true}, side{connect: syscall.ECONNREFUSED}, 250 * ms, nil, syscall.ECONNREFUSED},
		{"lost twice", side{hole: true}, side{hole: true}, 400 * ms, nil, nil},
		{"hanging twice", side{put: hangs}, side{put: hangs}, 2150 * ms, nil, nil},
		{"hanging and unreachable", side{put: hangs}, side{connect: syscall.EHOSTUNREACH}, 2 * time.Second, nil, syscall.EHOSTUNREACH},
		{"not HTTP twice", side{put: malformed}, side{put: malformed}, 0, imds.ErrMalformed, imds.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := race(tt.first, tt.second)
				c := w.client(four, six)
				for round := 1; round <= 2; round++ { // the second one is a race as well
					start := w.now()
					e := mustFail(t, c)
					if got := w.now() - start; got != tt.after {
						t.Errorf("failed after %v, want %v", got, tt.after)
					}
					if e.Endpoint != four || e.Other == nil || e.Other.Endpoint != six || e.Other.Other != nil {
						t.Fatalf("got %+v, want the first's failure with the second's in Other", e)
					}
					check := func(e *imds.Error, want error) {
						if want == nil && !e.Timeout() || want != nil && !errors.Is(e.Err, want) {
							t.Errorf("%s: cause %v, want %v", e.Endpoint, e.Err, want)
						}
					}
					check(e, tt.wantFirst)
					check(e.Other, tt.wantOther)
					if c.Requests() != 2*round || c.Endpoint() != "" {
						t.Errorf("round %d: Requests %d, Endpoint %q", round, c.Requests(), c.Endpoint())
					}
				}
			})
		})
	}
}

// Without a token the first endpoint's failure is reported. How long the second
// is waited for depends on whether the first has answered.
func TestRaceWithoutToken(t *testing.T) {
	busy, gone := says(answer("503 Busy", "", "")), says(answer("404 Not Found", "", ""))
	for _, tt := range []struct {
		name          string
		first, second side
		after         time.Duration
		status, other int // 0 without an answer; -1 if there is no Other
	}{
		{"both answer", side{put: busy}, side{put: gone}, 0, 503, 404},
		{"the second hangs", side{put: busy}, side{put: hangs}, 250 * ms, 503, -1},
		{"the second is refused", side{put: busy}, side{connect: syscall.ECONNREFUSED}, 0, 503, 0},
		{"the first answers late", side{put: later(200*ms, answer("503 Busy", "", ""))}, side{put: hangs}, 450 * ms, 503, -1},
		{"a token that cannot be one", side{put: says(grant("a b", "60"))}, side{put: hangs}, 250 * ms, 200, -1},
		{"half a token", side{put: says(head)}, side{put: gone}, 0, 200, 404},
		{"the first hangs", side{put: hangs}, side{put: gone}, 2 * time.Second, 0, 404},
		{"the first's SYN is lost", side{hole: true}, side{put: gone}, 250 * ms, 0, 404},
		{"the first is refused", side{connect: syscall.ECONNREFUSED}, side{put: later(time.Second, answer("404 Not Found", "", ""))}, time.Second, 0, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := race(tt.first, tt.second)
				c := w.client(four, six)
				e := mustFail(t, c)
				other := -1
				if e.Other != nil {
					other = e.Other.Status
				}
				if e.Endpoint != four || e.Status != tt.status || other != tt.other || w.now() != tt.after {
					t.Errorf("after %v: %v (status %d, other %d), want %+v", w.now(), e, e.Status, other, tt)
				}
				w.took()
				mustFail(t, c)
				if n := w.count("SYN"); n != 2 {
					t.Errorf("the next attempt used %d connections: it must be a race again", n)
				}
			})
		})
	}
}
