// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"errors"
	"fmt"
	"strings"
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
	} {
		t.Run(tt.ttl, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
	}
}

// The TTL of the answer counts, not the one that was asked for.
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
		{"none", "", false},
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
		{"past 64 bits, and no number", name + strings.Repeat("9", 30) + "x\r\n", false},
		{"other digits", name + "\u0665\r\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(says(answer("200 OK", tt.headers, "TOKEN")), nil)
				c := w.client(four)
				body, err := c.Get(t.Context(), "x")
				if tt.valid {
					if err != nil || string(body) != "ok" {
						t.Errorf("got %q, %v, want a token that works", body, err)
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
		})
	}
}

// A lifetime beyond what IMDS grants is not believed: six hours it is.
func TestTokenTTLIsCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(says(grant("TOKEN", "4000000000")), nil)
		c := w.client(four)
		mustGet(t, c)
		pass(imds.MaxTokenTTL)
		mustGet(t, c)
		if got := w.count("PUT"); got != 2 {
			t.Errorf("%d PUTs in six hours, want 2", got)
		}
	})
}

func TestTokenBytes(t *testing.T) {
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"base64", "AQAEAKz5-_+/x==", nil},
		{"every visible character", "!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", nil},
		{"4 KiB", strings.Repeat("x", 4096), nil},
		{"one more", strings.Repeat("x", 4097), imds.ErrTooLarge},
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
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
	}
}

// A PUT that is answered, but not with a token: the status is a fact.
func TestTokenStatus(t *testing.T) {
	for _, status := range []int{101, 201, 202, 204, 206, 301, 400, 401, 403, 404, 429, 500, 503, 599} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(says(fmt.Sprintf("HTTP/1.1 %d X\r\nConnection: close\r\n\r\n", status)), nil)
				c := w.client(four)
				e := mustFail(t, c)
				if e.Status != status || !e.Connected || e.Op != "PUT" {
					t.Errorf("got %+v, want the status %d", e, status)
				}
				if got := w.count("GET"); got != 0 {
					t.Errorf("%d GETs without a token", got)
				}
				if c.Endpoint() != four {
					t.Errorf("Endpoint = %q, want the one that answered", c.Endpoint())
				}
			})
		})
	}
}

func TestTokenIsDroppedOn401Only(t *testing.T) {
	for _, tt := range []struct {
		status string
		puts   int
	}{{"401 Unauthorized", 2}, {"400 Bad Request", 1}, {"403 Forbidden", 1}, {"404 Not Found", 1}, {"429 Too Many Requests", 1}, {"503 Service Unavailable", 1}} {
		t.Run(tt.status, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(nil, says(answer(tt.status, "", "<html>")))
				c := w.client(four)
				mustFail(t, c)
				w.get = nil
				mustGet(t, c)
				if got := w.count("PUT"); got != tt.puts {
					t.Errorf("%d PUTs, want %d", got, tt.puts)
				}
			})
		})
	}
}

// A late 401 is about the token that it was sent with, not about the next one.
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
		synctest.Wait() // its GET is out
		mustFail(t, c)
		if got := mustGet(t, c); got != "T2" {
			t.Errorf("after the first 401: token %s, want T2", got)
		}
		if e := failed(t)(nil, <-late); e.Status != 401 {
			t.Errorf("the late one: %v", e)
		}
		if got := mustGet(t, c); got != "T2" || n != 2 {
			t.Errorf("after the late 401: token %s of %d, want T2 of 2", got, n)
		}
	})
}
