// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

func TestTokenIsKeptAndRenewedEarly(t *testing.T) {
	for _, tt := range []struct {
		ttl   string
		renew time.Duration
	}{
		{"1", 900 * time.Millisecond},
		{"10", 9 * time.Second},
		{"60", 54 * time.Second},
		{"1199", 1199*time.Second - 119900*time.Millisecond},
		{"1200", 1080 * time.Second},
		{"1201", 1081 * time.Second},
		{"21600", 21480 * time.Second},
		{"4000000000", 21480 * time.Second}, // more than IMDS grants
	} {
		bubble(t, tt.ttl, func(t *testing.T) {
			n := 0
			w := newWire(func(p *peer) { n++; p.say(grant(fmt.Sprintf("T%d", n), tt.ttl)) }, nil)
			w.get = func(p *peer) { p.say(ok(p.token)) }
			c := w.client(four)
			for i, step := range []struct {
				at    time.Duration
				token string
			}{
				{0, "T1"},
				{tt.renew / 2, "T1"},
				{tt.renew - 1, "T1"},
				{tt.renew, "T2"},
				{2*tt.renew - 1, "T2"},
				{2 * tt.renew, "T3"},
			} {
				pass(step.at - w.now())
				if got := mustGet(t, c); got != step.token {
					t.Errorf("step %d, at %v: token %s, want %s", i, step.at, got, step.token)
				}
			}
		})
	}
}

// The answer must have a valid TTL, which counts instead of the requested one.
func TestTokenTTLHeader(t *testing.T) {
	name := "X-aws-ec2-metadata-token-ttl-seconds: "
	for _, tt := range []struct {
		name, headers string
		valid         bool
	}{
		{"one", name + "1\r\n", true},
		{"canonical spelling", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 1\r\n", true},
		{"lower case", strings.ToLower(name) + "1\r\n", true},
		{"space around it", name + "  5 \r\n", true},
		{"leading zero", name + "05\r\n", true},
		{"over six hours", name + "99999\r\n", true},
		{"2^32", name + "4294967296\r\n", true},
		{"past 64 bits", name + strings.Repeat("9", 30) + "\r\n", true},
		{"missing", "", false},
		{"empty", name + "\r\n", false},
		{"zero", name + "0\r\n", false},
		{"zeroes", name + "000\r\n", false},
		{"negative", name + "-1\r\n", false},
		{"signed", name + "+5\r\n", false},
		{"fraction", name + "1.5\r\n", false},
		{"unit", name + "5s\r\n", false},
		{"hexadecimal", name + "0x10\r\n", false},
		{"underscore", name + "1_000\r\n", false},
		{"list", name + "5, 6\r\n", false},
		{"past 64 bits, and not a number", name + strings.Repeat("9", 30) + "x\r\n", false},
		{"other digits", name + "\u0665\r\n", false},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			w := newWire(says(answer("200 OK", tt.headers, "TOKEN")), nil)
			c := w.client(four)
			body, err := c.Get(t.Context(), "x")
			if tt.valid {
				if err != nil || string(body) != "ok" {
					t.Errorf("got %q, %v, want a valid token", body, err)
				}
				return
			}
			e := failed(t)(body, err)
			if !errors.Is(e, imds.ErrMalformed) || e.Op != "PUT" || e.Status != 200 || !e.Connected {
				t.Errorf("got %+v, want a malformed 200 to the PUT", e)
			}
			if e.Path != "api/token" || e.Endpoint != four {
				t.Errorf("Endpoint %q, Path %q", e.Endpoint, e.Path)
			}
		})
	}
}

func TestTokenBytes(t *testing.T) {
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"base64", "AQAEAKz5-_+/x==", nil},
		{"every visible character", "!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", nil},
		{"4 KiB", strings.Repeat("x", 4096), nil},
		{"4 KiB and one byte", strings.Repeat("x", 4097), imds.ErrTooLarge},
		{"9 MiB", strings.Repeat("x", 9<<20), imds.ErrTooLarge},
		{"empty", "", imds.ErrMalformed},
		{"a second header", "x\r\nX-Forwarded-For: 127.0.0.1", imds.ErrMalformed},
		{"final newline", "x\n", imds.ErrMalformed},
		{"NUL", "x\x00", imds.ErrMalformed},
		{"tab", "x\ty", imds.ErrMalformed},
		{"ESC", "\x1b[2J", imds.ErrMalformed},
		{"DEL", "x\x7f", imds.ErrMalformed},
		{"space", "x y", imds.ErrMalformed},
		{"C1 control", "x\u0085", imds.ErrMalformed},
		{"not UTF-8", "x\xff", imds.ErrMalformed},
		{"HTML", "<html>\n<body>login</body></html>", imds.ErrMalformed},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			w := newWire(says(grant(tt.token, "60")), func(p *peer) { p.say(ok(p.token)) })
			c := w.client(four)
			body, err := c.Get(t.Context(), "x")
			if tt.want == nil {
				if err != nil || string(body) != tt.token {
					t.Errorf("sent the token %q, %v", body, err)
				}
				return
			}
			e := failed(t)(body, err)
			if !errors.Is(e, tt.want) || e.Status != 200 || !e.Connected || e.Op != "PUT" {
				t.Errorf("got %+v, want %v with status 200", e, tt.want)
			}
			if got := w.count("GET"); got != 0 {
				t.Errorf("%d GETs with a bad token", got)
			}
		})
	}
}

func TestTokenIsDroppedOn401Only(t *testing.T) {
	for _, tt := range []struct {
		status string
		puts   int
	}{{"401 Unauthorized", 2}, {"400 Bad Request", 1}, {"403 Forbidden", 1}, {"404 Not Found", 1}, {"429 Too Many Requests", 1}, {"503 Service Unavailable", 1}} {
		bubble(t, tt.status, func(t *testing.T) {
			w := newWire(nil, says(answer(tt.status, "", "<html>")))
			c := w.client(four)
			mustFail(t, c)
			w.get = nil
			mustGet(t, c)
			if got := w.count("PUT"); got != tt.puts {
				t.Errorf("%d PUTs, want %d", got, tt.puts)
			}
		})
	}
}

// A late 401 drops the token that it was sent with, but not a newer one.
func TestLate401KeepsTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w := newWire(func(p *peer) { n++; p.say(grant(fmt.Sprintf("T%d", n), "60")) }, nil)
		w.get = func(p *peer) {
			if p.token == "T1" {
				if strings.Contains(p.raw, "slow") {
					p.wait(time.Second)
				}
				p.say(answer("401 Unauthorized", "", ""))
				return
			}
			p.say(ok(p.token))
		}
		c := w.client(four)
		late := make(chan error)
		go func() { _, err := c.Get(t.Context(), "slow"); late <- err }()
		synctest.Wait() // its GET was sent
		mustFail(t, c)
		if got := mustGet(t, c); got != "T2" {
			t.Errorf("after the first 401: token %s, want T2", got)
		}
		if e := failed(t)(nil, <-late); e.Status != 401 {
			t.Errorf("the late GET: %v", e)
		}
		if got := mustGet(t, c); got != "T2" || n != 2 {
			t.Errorf("after the late 401: token %s of %d, want T2 of 2", got, n)
		}
	})
}

// later answers after a while.
func later(d time.Duration, raw string) script {
	return func(p *peer) { p.wait(d); p.say(raw) }
}

// getAtOnce makes n calls of Get at once.
func getAtOnce(t *testing.T, c *imds.Client, n int) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = c.Get(t.Context(), "x") })
	}
	wg.Wait()
	return errs
}

// Fifty calls share one token request.
func TestTokenRequestIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(later(time.Second, grant("TOKEN", "60")), nil)
		c := w.client(four)
		for round := 1; round <= 2; round++ {
			for i, err := range getAtOnce(t, c, 50) {
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
			pass(time.Minute) // the token expires
		}
	})
}

// A failed token request fails all calls that wait for it, with its Retry-After. The
// next call makes a new request.
func TestFailedTokenIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(later(time.Second, answer("503 Busy", "Retry-After: 7\r\n", "")), nil)
		c := w.client(four)
		for _, err := range getAtOnce(t, c, 50) {
			if e := failed(t)(nil, err); e.Op != "PUT" || e.Status != 503 || e.RetryAfter != 7*time.Second {
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

// If the call that started the token request leaves, the others still get the token.
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
				t.Errorf("first=%v: the other call: %v", first, err)
			}
			w.expect(t, "0s SYN four, 0s PUT four, 1s SYN four, 1s GET four /latest/x")
		})
	}
}

// The last call that leaves ends the token request. The next call makes a new one.
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

// A canceled token request that is slow to end neither delays nor disturbs the next.
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
