// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/imds"
)

const secret = "AQAEALsecretXyz5-Q=="

// loggable checks that an error, and every cause in it, is one line of bounded length
// that does not contain the token.
func loggable(t interface{ Errorf(string, ...any) }, err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		switch text := err.Error(); {
		case strings.Contains(text, secret):
			t.Errorf("the token is in the error: %.200s", text)
			return
		case strings.ContainsFunc(text, unicode.IsControl), len(text) > kib:
			t.Errorf("not one short line: %d bytes, %.200q", len(text), text)
			return
		}
	}
}

// echoes are answers that contain the token where an error might quote it.
var echoes = map[string]string{
	"a bare line":         secret + "\r\n",
	"no line at all":      secret,
	"the request's line":  "X-aws-ec2-metadata-token: " + secret + "\r\n\r\n",
	"version":             secret + " 200 OK\r\n\r\n",
	"status":              "HTTP/1.1 " + secret + " OK\r\n\r\n",
	"reason":              "HTTP/1.1 403 " + secret + "\r\n\r\n",
	"header":              "HTTP/1.1 503 X\r\nX-aws-ec2-metadata-token: " + secret + "\r\n\r\n",
	"no colon":            "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
	"no colon, no end":    "HTTP/1.1 200 OK\r\n" + secret,
	"no empty line":       "HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n" + secret + "\r\n",
	"header's name":       "HTTP/1.1 200 OK\r\n " + secret + ": x\r\n\r\n",
	"length":              "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
	"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\nContent-Length: 1\r\n\r\n",
	"transfer encoding":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
	"trailer":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length, " + secret + "\r\n\r\n0\r\n" + secret + "\r\n\r\n",
	"chunk":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
	"after a chunk":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx" + secret + "\r\n",
	"Retry-After":         "HTTP/1.1 429 X\r\nRetry-After: " + secret + "\r\n\r\n",
	"Location":            "HTTP/1.1 307 X\r\nLocation: /" + secret + "\r\n\r\n",
	"body of a failure":   answer("401 Unauthorized", "", "<html>"+secret),
	"half a body":         "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + secret,
	"a long line":         strings.Repeat("\x1b[2J"+secret, 500) + "\r\n",
	"a long header":       "HTTP/1.1 200 OK\r\n" + strings.Repeat("\x1b[2J"+secret, 500) + "\r\n\r\n",
	"token, with a space": grant(secret+" ", "60"),
	"token, with a line":  grant(secret+"\n", "60"),
	"token, bad TTL":      grant(secret, "0"),
	"token, TTL in bytes": grant(secret, "\x1b[2J"),
	"token, TTL of 8 KiB": grant(secret, strings.Repeat("9", 8<<10)+"x"),
	"token, too large":    grant(strings.Repeat(secret, 500), "60"),
}

func TestTokenIsInNoError(t *testing.T) {
	for name, raw := range echoes {
		bubble(t, name, func(t *testing.T) {
			w := newWire(sends(raw), nil)
			c := w.client(four)
			loggable(t, mustFail(t, c)) // while it is requested
			w.put, w.get = sends(grant(secret, "60")), sends(raw)
			if _, err := c.Get(t.Context(), "x"); err != nil { // while it is used
				loggable(t, err)
			}
			if len(w.raw) != 3 || !strings.Contains(w.raw[2], secret) {
				t.Errorf("requests %q, want the last one with the token", w.raw)
			}
			w.put = sends(raw)
			loggable(t, mustFail(t, w.client(four, six))) // both sides of a race
		})
	}
}

// The answer consists of any pieces in any order.
func TestTokenIsInNoErrorProperty(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"HTTP/1.1 ", "200", "401", "503", " OK", " ", "\r\n", "\n", ": ", "Content-Length", "Transfer-Encoding", "chunked",
		"X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token", "Retry-After", "60", "0", "ff", "-1", secret, "\x1b", "\xff", "<html>",
	})
	rapid.Check(t, func(t *rapid.T) {
		raw := strings.Join(rapid.SliceOf(piece).Draw(t, "answer"), "")
		start := rapid.SampledFrom([]string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}).Draw(t, "start")
		w := newWire(sends(grant(secret, "60")), sends(start+raw))
		_, err := w.client(four).Get(t.Context(), "x")
		loggable(t, err)
		w.put = sends(start + raw)
		_, err = w.client(four).Get(t.Context(), "x")
		loggable(t, err)
	})
}

// FuzzAnswer answers with any bytes. The client must end within its limits, and an
// error must be of one kind only.
func FuzzAnswer(f *testing.F) {
	for _, raw := range echoes {
		f.Add(raw)
	}
	for _, raw := range []string{
		"", "\r\n", ok("ok"), ok(""), "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n" + ok("ok"),
		chunked("hello", 2), "HTTP/1.1 101 X\r\n\r\n", "HTTP/1.1 000 X\r\n\r\n", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Le",
		"HTTP/1.1 503 X\r\nRetry-After: Sat, 01 Jan 2000 00:00:30 GMT\r\n\r\n",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, put := range []bool{true, false} {
			w := newWire(sends(grant(secret, "60")), sends(raw))
			if put {
				w = newWire(sends(raw), nil)
			}
			c := w.client(four)
			body, err := c.Get(t.Context(), "x")
			if len(body) > 256*kib {
				t.Errorf("a body of %d bytes", len(body))
			}
			if err == nil {
				continue
			}
			loggable(t, err)
			e := failed(t)(body, err)
			kinds := 0
			for _, kind := range []error{imds.ErrMalformed, imds.ErrTooLarge, io.ErrUnexpectedEOF} {
				if errors.Is(e, kind) {
					kinds++
				}
			}
			if kinds > 1 || kinds == 0 && (e.Err != nil || e.Status == 200) {
				t.Errorf("%+v is of %d kinds", e, kinds)
			}
			if !e.Connected || e.Timeout() || e.RetryAfter < 0 || e.Status < 0 || c.Requests() > 2 {
				t.Errorf("got %+v after %d requests", e, c.Requests())
			}
		}
	})
}
