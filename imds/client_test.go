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

const (
	ms   = time.Millisecond
	head = "HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 60\r\n\r\n"
)

// drip sends some bytes at once and the rest one by one.
func drip(at string, every time.Duration) script {
	return func(p *peer) {
		p.send(at)
		for range 60 {
			if !p.wait(every) {
				return
			}
			p.send("x")
		}
		p.hang()
	}
}

// phases are the places where a request can stall, and the facts known there.
var phases = []struct {
	name      string
	dial      func(context.Context, string) error
	answer    script
	connected bool
	status    int
}{
	{"connect", func(ctx context.Context, _ string) error { return blackHole(ctx) }, nil, false, 0},
	{"no answer", nil, hangs, true, 0},
	{"status line", nil, func(p *peer) { p.send("HTTP/1.1 20"); p.hang() }, true, 0},
	{"header's name", nil, func(p *peer) { p.send("HTTP/1.1 200 OK\r\nContent-Le"); p.hang() }, true, 0},
	{"header", nil, drip("HTTP/1.1 200 OK\r\nX-Pad: ", 50*ms), true, 0},
	{"body", nil, drip(head, 50*ms), true, 200},
	{"chunked body", nil, drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n", 50*ms), true, 200},
	{"last chunk", nil, func(p *peer) {
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
		p.hang()
	}, true, 200},
}

// eachPhase runs a test for each phase of a PUT and of a GET that begins at 0s. For
// a GET, the client has a token.
func eachPhase(t *testing.T, test func(t *testing.T, w *wire, c *imds.Client, want imds.Error)) {
	for _, p := range phases {
		for _, method := range []string{"PUT", "GET"} {
			bubble(t, p.name+" of a "+method, func(t *testing.T) {
				w := newWire(nil, nil)
				c := w.client(four)
				want := imds.Error{Op: method, Endpoint: four, Path: "api/token", Connected: p.connected, Status: p.status}
				if method == "GET" {
					mustGet(t, c)
					want.Path = "meta-data/x"
					w.get = p.answer
				} else {
					w.put = p.answer
				}
				w.dial = p.dial
				test(t, w, c, want)
			})
		}
	}
}

// same compares all facts except the cause.
func same(t *testing.T, got *imds.Error, want imds.Error) {
	t.Helper()
	if got.Op != want.Op || got.Endpoint != want.Endpoint || got.Path != want.Path ||
		got.Connected != want.Connected || got.Status != want.Status || got.RetryAfter != want.RetryAfter {
		t.Errorf("got  %+v\nwant %+v, with any cause", *got, want)
	}
}

// A request that stalls or drips ends exactly at its timeout.
// Sent is called when a request was sent, and not when it is answered.
func TestSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(raw string) script {
			return func(p *peer) {
				if p.wait(100 * time.Millisecond) {
					p.send(raw)
				}
			}
		}
		w := newWire(slow(grant("TOKEN", "21600")), slow(ok("ok")))
		c := w.client(four)
		var sent []time.Duration
		c.Sent = func() { sent = append(sent, w.now()) }
		if _, err := c.Get(t.Context(), "meta-data/x"); err != nil {
			t.Error(err)
		}
		if want := []time.Duration{0, 100 * time.Millisecond}; !slices.Equal(sent, want) {
			t.Errorf("sent at %v, want %v", sent, want)
		}
	})
}

func TestTimeoutsAreExact(t *testing.T) {
	eachPhase(t, func(t *testing.T, w *wire, c *imds.Client, want imds.Error) {
		for _, tt := range []struct{ connect, read, wantConnect, wantRead time.Duration }{
			{0, 0, 250 * ms, 2 * time.Second},
			{time.Second, 1234567 * time.Microsecond, time.Second, 1234567 * time.Microsecond},
			{1 * ms, 1 * ms, 1 * ms, 1 * ms},
		} {
			start := w.now()
			e := failed(t)(c.GetWithin(t.Context(), imds.Timeouts{Connect: tt.connect, Read: tt.read}, "meta-data/x"))
			limit := tt.wantConnect
			if want.Connected {
				limit = tt.wantRead
			}
			if got := w.now() - start; got != limit {
				t.Errorf("ended after %v, want %v", got, limit)
			}
			if !e.Timeout() {
				t.Errorf("%v: want a timeout", e)
			}
			same(t, e, want)
		}
	})
}

// The read timeout begins when the connection is established.
func TestReadTimeoutBeginsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(hangs, nil)
		w.dial = func(context.Context, string) error { pass(200 * ms); return nil }
		e := mustFail(t, w.client(four))
		if w.now() != 2200*ms || !e.Connected || !e.Timeout() {
			t.Errorf("%v after %v, want a timeout, connected, after 2.2s", e, w.now())
		}
	})
}

// An answer that drips but is complete in time succeeds.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, drip(head, 33*ms)) // 60 bytes in 1.98 s
		if got := mustGet(t, w.client(four)); len(got) != 60 || w.now() != 1980*ms {
			t.Errorf("%d bytes after %v", len(got), w.now())
		}
	})
}

// The end of a context cuts a request at once, and the phase is still in the error.
// A deadline is a timeout. Another cause is not one, and its text is in the error, so
// that a SIGTERM does not look like a slow service.
func TestContextEnds(t *testing.T) {
	stop := errors.New("terminated by a signal")
	for _, cause := range []error{context.DeadlineExceeded, stop} {
		eachPhase(t, func(t *testing.T, w *wire, c *imds.Client, want imds.Error) {
			start := w.now()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if cause == stop {
				time.AfterFunc(123*ms, func() { cancel(stop) })
			} else {
				var end context.CancelFunc
				ctx, end = context.WithTimeout(ctx, 123*ms)
				defer end()
			}
			e := failed(t)(c.Get(ctx, "meta-data/x"))
			if got := w.now() - start; got != 123*ms {
				t.Errorf("ended after %v, want 123ms", got)
			}
			if !errors.Is(e, cause) || e.Timeout() != (cause != stop) || errors.Is(e, imds.ErrNotBegun) || !strings.Contains(e.Error(), cause.Error()) {
				t.Errorf("%v (timeout: %v), want the cause %v of a request that was sent", e, e.Timeout(), cause)
			}
			if want.Op == "PUT" { // all callers share it: its status is not theirs
				want.Status = 0
			}
			same(t, e, want)
		})
	}
}

// The body of an error is HTML for people: it is not read, and how it ends does not
// matter.
func TestStatusWithoutItsBody(t *testing.T) {
	for _, header := range []string{"Connection: close\r\nContent-Length: 9\r\n", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"} {
		for name, rest := range map[string]script{"EOF": closes, "hang": hangs, "garbage": sends("\x00\x00\x00")} {
			for status, retryAfter := range map[int]time.Duration{404: 0, 503: 3 * time.Second} {
				bubble(t, fmt.Sprintf("%d %q %s", status, header, name), func(t *testing.T) {
					raw := fmt.Sprintf("HTTP/1.1 %d X\r\nRetry-After: %d\r\n%s\r\n", status, retryAfter/time.Second, header)
					w := newWire(nil, func(p *peer) { p.send(raw); rest(p) })
					e := mustFail(t, w.client(four))
					same(t, e, imds.Error{
						Op: "GET", Endpoint: four, Path: "meta-data/x", Connected: true, Status: status, RetryAfter: retryAfter,
					})
					if e.Err != nil || w.now() != 0 {
						t.Errorf("cause %v after %v, want no cause, at once", e.Err, w.now())
					}
				})
			}
		}
	}
}

// A deadline cuts a race, and both sides end.
func TestRaceIsCut(t *testing.T) {
	for _, tt := range []struct {
		first, second side
		connected     bool
	}{
		{side{hole: true}, side{hole: true}, false},
		{side{put: hangs}, side{hole: true}, true},
		{side{hole: true}, side{put: hangs}, true},
	} {
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

// A caller that leaves proves nothing about the winner of a race: the next call uses
// it and its token. A nil script cuts the call before the request begins.
func TestCutKeepsTheWinner(t *testing.T) {
	for name, cut := range map[string]script{"in the answer": hangs, "in the body": drip(head, 50*ms), "before the request": nil} {
		bubble(t, name, func(t *testing.T) {
			w, c := won(t)
			get := w.get
			w.get = cut
			if cut == nil {
				c.Pace = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
			defer cancel()
			if e := failed(t)(c.Get(ctx, "x")); !errors.Is(e, context.DeadlineExceeded) {
				t.Errorf("got %v", e)
			}
			w.takeLines()
			w.get, c.Pace = get, nil
			mustGet(t, c)
			w.expect(t, "250ms SYN six, 250ms GET six")
		})
	}
}

// The same holds for a PUT to the winner. The error names its endpoint.
func TestCutOfTheWinnersPUT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := won(t)
		put := w.put
		w.put = hangs
		pass(time.Minute) // the token has expired
		ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		e := failed(t)(c.Get(ctx, "x"))
		if e.Op != "PUT" || e.Endpoint != six || !e.Connected || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("got %+v, want the deadline, of a PUT to %s", e, six)
		}
		synctest.Wait()
		w.takeLines()
		w.put = put
		mustGet(t, c)
		w.expect(t, "1m0.25s SYN six, 1m0.25s PUT six, 1m0.25s SYN six, 1m0.25s GET six")
	})
}

// Endpoint returns the endpoint that answered last, even if another won a race since.
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

			w.get = closes // the winner is given up
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

// If the context ends before a request was sent, the error has the cause and wraps
// ErrNotBegun, and nothing is sent.
func TestNotBegun(t *testing.T) {
	stop := errors.New("terminated by a signal")
	for _, tt := range []struct {
		name        string
		held, paced bool // a token is held; the context ends during Pace, not before
	}{
		{"ended before the PUT", false, false},
		{"ended before the GET", true, false},
		{"ended while the PUT is paced", false, true},
		{"ended while the GET is paced", true, true},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			w := newWire(nil, nil)
			c := w.client(four)
			if tt.held {
				mustGet(t, c)
			}
			c.Pace = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			before := c.Requests()
			w.takeLines()
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
	}
}
