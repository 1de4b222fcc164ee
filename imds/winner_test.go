// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// won returns a client of two endpoints whose race the second has won at
// 150ms, and which holds a token of 60 s.
func won(t *testing.T) (*wire, *imds.Client) {
	w := race(side{put: hangs}, side{})
	c := w.client(four, six)
	mustGet(t, c)
	w.took()
	return w, c
}

func TestWinnerIsUsedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		for range 3 {
			pass(time.Minute) // the token ends, and is made anew
			if got := mustGet(t, c); got != "TOKEN-OF-six" {
				t.Errorf("token %q", got)
			}
		}
		if lines := w.took(); len(lines) != 12 || slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "four") }) {
			t.Errorf("trace %q, want the winner only", lines)
		}
	})
}

// An answer of any kind keeps the winner, and the token too unless it is 401;
// no answer ends both, and the next attempt is a race with a new token.
func TestWinnerUntilItGivesNoAnswer(t *testing.T) {
	const ( // what the next attempt does, its beginning and 150 ms later
		kept     = "%[1]v SYN six, %[1]v GET six"
		newToken = "%[1]v SYN six, %[1]v PUT six, %[1]v SYN six, %[1]v GET six"
		newRace  = "%[1]v SYN four, %[1]v PUT four, %[2]v SYN six, %[2]v PUT six, %[2]v SYN six, %[2]v GET six"
	)
	for _, tt := range []struct {
		name   string
		answer script // nil: refused
		next   string
	}{
		{"503", says(answer("503 Busy", "", "")), kept},
		{"404", says(answer("404 Not Found", "", "")), kept},
		{"301", says(answer("301 Moved", "", "")), kept},
		{"half a body", says(head), kept},
		{"too large", says(ok(strings.Repeat("x", 1<<20))), kept},
		{"malformed chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), kept},
		{"not HTTP", says("SSH-2.0-x\r\n"), kept},
		{"401", says(answer("401 Unauthorized", "", "")), newToken},
		{"EOF", silent, newRace},
		{"hang", hangs, newRace},
		{"refused", nil, newRace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := won(t)
				dial, get := w.dial, w.get
				w.get = tt.answer
				if tt.answer == nil {
					w.dial = func(context.Context, string) error { return syscall.ECONNREFUSED }
				}
				if e := mustFail(t, c); e.Op != "GET" || e.Endpoint != six || e.Other != nil {
					t.Errorf("got %+v, want the winner's failure alone", e)
				}
				if tt.answer == nil {
					w.expect(t, "150ms SYN six")
				} else {
					w.expect(t, "150ms SYN six, 150ms GET six")
				}

				w.dial, w.get = dial, get
				at := w.now()
				mustGet(t, c)
				w.expect(t, fmt.Sprintf(tt.next, at, at+150*ms))
			})
		})
	}
}

// The winner's PUT fails without an answer: that attempt is the winner's
// alone, the next one is a race.
func TestWinnersPUTFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		dial := w.dial
		w.dial = func(context.Context, string) error { return syscall.ECONNREFUSED }
		pass(time.Minute)
		if e := mustFail(t, c); e.Op != "PUT" || e.Endpoint != six || e.Other != nil {
			t.Errorf("got %+v, want the winner's failure alone", e)
		}
		w.expect(t, "1m0.15s SYN six")
		if c.Endpoint() != six {
			t.Errorf("Endpoint = %q, want the last that answered", c.Endpoint())
		}
		w.dial = dial
		mustGet(t, c)
		w.expect(t, "1m0.15s SYN four, 1m0.15s PUT four, 1m0.3s SYN six, 1m0.3s PUT six, 1m0.3s SYN six, 1m0.3s GET six")
	})
}

// Fifty at once, and the winner gives no answer: one new race, one new token.
func TestManyLoseTheWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		get := w.get
		w.get = func(p *peer) { p.wait(10 * ms); p.Close() } // when all fifty are out
		for _, err := range together(t, c, 50) {
			failed(t)(nil, err)
		}
		if lines := w.took(); len(lines) != 100 {
			t.Errorf("%d events, want 50 GETs", len(lines))
		}
		w.get = get
		before := c.Requests()
		for _, err := range together(t, c, 50) {
			if err != nil {
				t.Error(err)
			}
		}
		if got := c.Requests() - before; got != 52 {
			t.Errorf("%d requests, want both sides of one race and 50 GETs", got)
		}
	})
}

// A family that the kernel lacks is left out after it has shown so.
func TestLackingFamily(t *testing.T) {
	lacking, refused := side{connect: syscall.EAFNOSUPPORT}, side{connect: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		kept, url     string
		first, second side
	}{
		{"four", four, refused, lacking},
		{"six", six, lacking, refused},
	} {
		t.Run(tt.kept, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := race(tt.first, tt.second)
				c := w.client(four, six)
				if e := mustFail(t, c); e.Other != nil || e.Endpoint != tt.url {
					t.Errorf("the first time: %+v, want %s alone", e, tt.url)
				}
				w.expect(t, "0s SYN four, 0s SYN six")
				if e := mustFail(t, c); e.Other != nil || !errors.Is(e, syscall.ECONNREFUSED) || e.Endpoint != tt.url {
					t.Errorf("the second time: %+v, want %s alone", e, tt.url)
				}
				w.expect(t, "0s SYN "+tt.kept)
				w.dial = nil
				if got := mustGet(t, c); got != "TOKEN-OF-"+tt.kept || c.Endpoint() != tt.url {
					t.Errorf("token %q, Endpoint %q", got, c.Endpoint())
				}
			})
		})
	}
}

// A kernel without either still fails with facts, each time.
func TestBothFamiliesLacking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := race(side{connect: syscall.EAFNOSUPPORT}, side{connect: syscall.EAFNOSUPPORT})
		c := w.client(four, six)
		for range 3 {
			if e := mustFail(t, c); !errors.Is(e, syscall.EAFNOSUPPORT) || e.Connected {
				t.Errorf("got %+v", e)
			}
		}
	})
}

// The loser ends with the race, wherever it is.
func TestLoserEnds(t *testing.T) {
	for name, loser := range map[string]side{"in the connect": {hole: true}, "in the answer": {put: hangs}, "in the body": {put: drip(head, 50*ms)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := race(loser, side{})
				dial, dialEnded := w.dial, time.Duration(0)
				w.dial = func(ctx context.Context, addr string) error {
					err := dial(ctx, addr)
					if addr == addrFour {
						dialEnded = w.now()
					}
					return err
				}
				mustGet(t, w.client(four, six))
				synctest.Wait()
				if loser.hole && dialEnded != 150*ms {
					t.Errorf("the loser's dial ended at %v, want 150ms", dialEnded)
				}
				if !loser.hole && !slices.Contains(w.ended, "150ms PUT four") {
					t.Errorf("connections ended: %q, want the loser's at 150ms", w.ended)
				}
			})
		})
	}
}
