// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
		p.say(at)
		for range 60 {
			if !p.wait(every) {
				return
			}
			p.say("x")
		}
		p.hang()
	}
}

// phases are the places where a request can stand still, and what is known
// there.
var phases = []struct {
	name      string
	dial      func(context.Context, string) error
	answer    script
	connected bool
	status    int
}{
	{"connect", func(ctx context.Context, _ string) error { return blackHole(ctx) }, nil, false, 0},
	{"no answer", nil, hangs, true, 0},
	{"status line", nil, func(p *peer) { p.say("HTTP/1.1 20"); p.hang() }, true, 0},
	{"header's name", nil, func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-Le"); p.hang() }, true, 0},
	{"header", nil, drip("HTTP/1.1 200 OK\r\nX-Pad: ", 50*ms), true, 0},
	{"body", nil, drip(head, 50*ms), true, 200},
	{"chunked body", nil, drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n", 50*ms), true, 200},
	{"last chunk", nil, func(p *peer) { p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"); p.hang() }, true, 200},
}

// eachPhase runs a test for each phase of a PUT and of a GET, which begins at
// 0s, with a token held where it is a GET.
func eachPhase(t *testing.T, test func(t *testing.T, w *wire, c *imds.Client, want imds.Error)) {
	for _, p := range phases {
		for _, method := range []string{"PUT", "GET"} {
			t.Run(p.name+" of a "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
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
			})
		}
	}
}

// same compares all facts but the cause.
func same(t *testing.T, got *imds.Error, want imds.Error) {
	t.Helper()
	if got.Op != want.Op || got.Endpoint != want.Endpoint || got.Path != want.Path ||
		got.Connected != want.Connected || got.Status != want.Status || got.RetryAfter != want.RetryAfter {
		t.Errorf("got  %+v\nwant %+v, whatever the cause", *got, want)
	}
}

// A request stands still: it ends at its timeout, to the nanosecond, drip or
// not.
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

// The connect has its own time: the answer's begins when it is through.
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

// A slow answer that is complete in time is an answer.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, drip(head, 33*ms)) // 60 bytes in 1.98 s
		if got := mustGet(t, w.client(four)); len(got) != 60 || w.now() != 1980*ms {
			t.Errorf("%d bytes after %v", len(got), w.now())
		}
	})
}

// A context's deadline cuts exactly, and the phase is still a fact.
func TestContextDeadline(t *testing.T) {
	eachPhase(t, func(t *testing.T, w *wire, c *imds.Client, want imds.Error) {
		start := w.now()
		ctx, cancel := context.WithTimeout(t.Context(), 123*ms)
		defer cancel()
		e := failed(t)(c.Get(ctx, "meta-data/x"))
		if got := w.now() - start; got != 123*ms {
			t.Errorf("ended after %v, want 123ms", got)
		}
		if !errors.Is(e, context.DeadlineExceeded) || !e.Timeout() || errors.Is(e, imds.ErrNotBegun) {
			t.Errorf("%v: want the deadline, a timeout, of a request that was sent", e)
		}
		if want.Op == "PUT" { // shared by all who wait: the header's status stays in it
			want.Status = 0
		}
		same(t, e, want)
	})
}

// A cancelled context cuts at once. The cause is in the error, and it is no
// timeout: nobody should take a SIGTERM for a slow service.
func TestContextCause(t *testing.T) {
	eachPhase(t, func(t *testing.T, w *wire, c *imds.Client, want imds.Error) {
		stop := errors.New("terminated by a signal")
		ctx, cancel := context.WithCancelCause(t.Context())
		start := w.now()
		time.AfterFunc(77*ms, func() { cancel(stop) })
		e := failed(t)(c.Get(ctx, "meta-data/x"))
		if got := w.now() - start; got != 77*ms {
			t.Errorf("ended after %v, want 77ms", got)
		}
		if !errors.Is(e, stop) || !strings.Contains(e.Error(), stop.Error()) {
			t.Errorf("%v: want the cause, in its chain and in its text", e)
		}
		if e.Timeout() {
			t.Errorf("%v: Timeout is true", e)
		}
		if want.Op == "PUT" {
			want.Status = 0
		}
		same(t, e, want)
	})
}

// A status that has arrived is a fact, whatever becomes of its body, and the
// body is not waited for: it is HTML for people.
func TestStatusWithoutItsBody(t *testing.T) {
	for _, header := range []string{"Connection: close\r\nContent-Length: 9\r\n", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"} {
		for name, rest := range map[string]script{"EOF": silent, "hang": hangs, "garbage": says("\x00\x00\x00")} {
			for status, retryAfter := range map[int]time.Duration{404: 0, 503: 3 * time.Second} {
				t.Run(fmt.Sprintf("%d %q %s", status, header, name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						raw := fmt.Sprintf("HTTP/1.1 %d X\r\nRetry-After: %d\r\n%s\r\n", status, retryAfter/time.Second, header)
						w := newWire(nil, func(p *peer) { p.say(raw); rest(p) })
						e := mustFail(t, w.client(four))
						same(t, e, imds.Error{
							Op: "GET", Endpoint: four, Path: "meta-data/x", Connected: true, Status: status, RetryAfter: retryAfter,
						})
						if e.Err != nil || w.now() != 0 {
							t.Errorf("cause %v after %v, want none, at once", e.Err, w.now())
						}
					})
				})
			}
		}
	}
}
