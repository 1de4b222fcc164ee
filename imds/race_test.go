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

// side is one endpoint of a race: how its connect and its PUT go.
type side struct {
	connect error         // if nil, the connect succeeds
	hole    bool          // the SYN is lost
	slow    time.Duration // before the connect ends
	put     script        // if nil, the answer is a token
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
		p.send(grant("TOKEN-OF-"+short(p.addr), "60"))
	}
	w.get = func(p *peer) { p.send(ok(p.token)) }
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
		{"the first breaks", side{put: closes}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"the first is not HTTP", side{put: sends("SSH-2.0-x\r\n")}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"the first is late and wins", side{put: later(200*ms, grant("T", "60"))}, side{put: hangs}, four, "0s SYN four, 0s PUT four, 150ms SYN six, 150ms PUT six, 200ms SYN four, 200ms GET four"},
		{"the second fails meanwhile", side{put: later(200*ms, grant("T", "60"))}, side{connect: refused}, four, "0s SYN four, 0s PUT four, 150ms SYN six, 200ms SYN four, 200ms GET four"},
		{"an answer without a token settles nothing", side{put: sends(answer("503 Busy", "", ""))}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"an invalid token settles nothing", side{put: sends(grant("a b", "60"))}, side{}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 0s SYN six, 0s GET six"},
		{"the second's answer settles nothing", side{put: later(time.Second, grant("T", "60"))}, side{put: sends(answer("403 Forbidden", "", ""))}, four, "0s SYN four, 0s PUT four, 150ms SYN six, 150ms PUT six, 1s SYN four, 1s GET four"},
		{"the second has 250 ms more", side{put: sends(answer("403 Forbidden", "", ""))}, side{put: later(250*ms-1, grant("T", "60"))}, six, "0s SYN four, 0s PUT four, 0s SYN six, 0s PUT six, 249.999999ms SYN six, 249.999999ms GET six"},
	} {
		bubble(t, tt.name, func(t *testing.T) {
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
	}
}

// The first endpoint of the list has the head start, not always IPv4.
func TestRaceIsInTheOrderGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := race(side{}, side{put: hangs})
		if got := mustGet(t, w.client(six, four)); got != "TOKEN-OF-four" {
			t.Errorf("token %q", got)
		}
		w.expect(t, "0s SYN six, 0s PUT six, 150ms SYN four, 150ms PUT four, 150ms SYN four, 150ms GET four")
	})
}

// If both sides fail, the race ends with the later of the two. The error is the
// first endpoint's, with the second's in Other.
func TestRaceBothFail(t *testing.T) {
	malformed := sends("SSH-2.0-x\r\n")
	for _, tt := range []struct {
		name          string
		first, second side
		after         time.Duration
		wantFirst     error // if nil, a timeout
		wantOther     error
	}{
		{"refused twice", side{connect: syscall.ECONNREFUSED}, side{connect: syscall.ECONNREFUSED}, 0, syscall.ECONNREFUSED, syscall.ECONNREFUSED},
		{"refused and lost", side{connect: syscall.ECONNREFUSED}, side{hole: true}, 125 * ms, syscall.ECONNREFUSED, nil},
		{"lost and refused", side{hole: true}, side{connect: syscall.ECONNREFUSED}, 250 * ms, nil, syscall.ECONNREFUSED},
		{"lost twice", side{hole: true}, side{hole: true}, 275 * ms, nil, nil},
		{"hanging twice", side{put: hangs}, side{put: hangs}, 2150 * ms, nil, nil},
		{"hanging and unreachable", side{put: hangs}, side{connect: syscall.EHOSTUNREACH}, 2 * time.Second, nil, syscall.EHOSTUNREACH},
		{"not HTTP twice", side{put: malformed}, side{put: malformed}, 0, imds.ErrMalformed, imds.ErrMalformed},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			w := race(tt.first, tt.second)
			c := w.client(four, six)
			for round := 1; round <= 2; round++ { // the second attempt is a race as well
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
	}
}

// Without a token, the first endpoint's failure is reported. How long the race waits
// for the second depends on whether the first has answered.
func TestRaceWithoutToken(t *testing.T) {
	busy, gone := sends(answer("503 Busy", "", "")), sends(answer("404 Not Found", "", ""))
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
		{"an invalid token", side{put: sends(grant("a b", "60"))}, side{put: hangs}, 250 * ms, 200, -1},
		{"half a token", side{put: sends(head)}, side{put: gone}, 0, 200, 404},
		{"the first hangs", side{put: hangs}, side{put: gone}, 2 * time.Second, 0, 404},
		{"the first's SYN is lost", side{hole: true}, side{put: gone}, 250 * ms, 0, 404},
		{"the first is refused", side{connect: syscall.ECONNREFUSED}, side{put: later(time.Second, answer("404 Not Found", "", ""))}, time.Second, 0, 404},
	} {
		bubble(t, tt.name, func(t *testing.T) {
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
			w.takeLines()
			mustFail(t, c)
			if n := w.count("SYN"); n != 2 {
				t.Errorf("the next attempt used %d connections: it must be a race again", n)
			}
		})
	}
}

// won returns a client of two endpoints. The second won the race at 150 ms, with a
// token of 60 s.
func won(t *testing.T) (*wire, *imds.Client) {
	w := race(side{put: hangs}, side{})
	c := w.client(four, six)
	mustGet(t, c)
	w.takeLines()
	return w, c
}

func TestWinnerIsUsedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		for range 3 {
			pass(time.Minute) // the token expires
			if got := mustGet(t, c); got != "TOKEN-OF-six" {
				t.Errorf("token %q", got)
			}
		}
		if lines := w.takeLines(); len(lines) != 12 || slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "four") }) {
			t.Errorf("trace %q, want the winner only", lines)
		}
	})
}

// Any answer keeps the winner, and any but 401 keeps the token. A failure without an
// answer drops both, and the next attempt is a race for a new token.
func TestWinnerUntilItGivesNoAnswer(t *testing.T) {
	const ( // traces of the next attempt, from its start and 150 ms later
		kept     = "%[1]v SYN six, %[1]v GET six"
		newToken = "%[1]v SYN six, %[1]v PUT six, %[1]v SYN six, %[1]v GET six"
		newRace  = "%[1]v SYN four, %[1]v PUT four, %[2]v SYN six, %[2]v PUT six, %[2]v SYN six, %[2]v GET six"
	)
	for _, tt := range []struct {
		name   string
		answer script // if nil, the connection is refused
		next   string
	}{
		{"503", sends(answer("503 Busy", "", "")), kept},
		{"404", sends(answer("404 Not Found", "", "")), kept},
		{"301", sends(answer("301 Moved", "", "")), kept},
		{"half a body", sends(head), kept},
		{"too large", sends(ok(strings.Repeat("x", 1<<20))), kept},
		{"malformed chunks", sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), kept},
		{"not HTTP", sends("SSH-2.0-x\r\n"), kept},
		{"401", sends(answer("401 Unauthorized", "", "")), newToken},
		{"EOF", closes, newRace},
		{"hang", hangs, newRace},
		{"refused", nil, newRace},
	} {
		bubble(t, tt.name, func(t *testing.T) {
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
	}
}

// If the PUT to the winner fails without an answer, only the next attempt is a race.
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

// If the winner fails for fifty calls at once, there is one new race for one new token.
func TestManyLoseTheWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		get := w.get
		w.get = func(p *peer) { p.wait(10 * ms); p.Close() } // after all fifty were sent
		for _, err := range getAtOnce(t, c, 50) {
			failed(t)(nil, err)
		}
		if lines := w.takeLines(); len(lines) != 100 {
			t.Errorf("%d events, want 50 GETs", len(lines))
		}
		w.get = get
		before := c.Requests()
		for _, err := range getAtOnce(t, c, 50) {
			if err != nil {
				t.Error(err)
			}
		}
		if got := c.Requests() - before; got != 52 {
			t.Errorf("%d requests, want both sides of one race and 50 GETs", got)
		}
	})
}

// An address family that the kernel lacks is omitted after its first failure.
func TestLackingFamily(t *testing.T) {
	lacking, refused := side{connect: syscall.EAFNOSUPPORT}, side{connect: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		kept, url     string
		first, second side
	}{
		{"four", four, refused, lacking},
		{"six", six, lacking, refused},
	} {
		bubble(t, tt.kept, func(t *testing.T) {
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
	}
}

// On a kernel without both families, each attempt fails with the errno.
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

// The loser ends with the race, in any phase.
func TestLoserEnds(t *testing.T) {
	for name, loser := range map[string]side{"in the connect": {hole: true}, "in the answer": {put: hangs}, "in the body": {put: drip(head, 50*ms)}} {
		bubble(t, name, func(t *testing.T) {
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
	}
}
