// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imds-ready/imds-ready/imds"
)

const kib = 1 << 10

func chunked(body string, size int) string {
	var s strings.Builder
	s.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&s, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return s.String() + "0\r\n\r\n"
}

// sized sends a body of the limit, which is had, and one more byte, which is
// not.
func sized(t *testing.T, path string, limit int, send func(string) string) {
	synctest.Test(t, func(t *testing.T) {
		body, err := get(t, path, send(strings.Repeat("x", limit)))
		if err != nil || len(body) != limit {
			t.Errorf("at the limit: %d bytes, %v", len(body), err)
		}
		e := failed(t)(get(t, path, send(strings.Repeat("x", limit+1))))
		if !errors.Is(e, imds.ErrTooLarge) || e.Status != 200 || !e.Connected {
			t.Errorf("one over: %+v, want too large, status 200", e)
		}
	})
}

func TestBodyLimits(t *testing.T) {
	for path, limit := range map[string]int{
		"dynamic/instance-identity/document": 64 * kib,
		"user-data":                          64 * kib,
		"dynamic/instance-identity/pkcs7":    256 * kib,
		"meta-data/":                         256 * kib,
		"meta-data/user-data":                256 * kib,
		"":                                   256 * kib,
	} {
		t.Run(path, func(t *testing.T) { sized(t, path, limit, ok) })
	}
}

// The limit is the body's: what a framing adds does not count.
func TestBodyLimitByFraming(t *testing.T) {
	for _, f := range []struct {
		name  string
		path  string
		limit int
		send  func(body string) string
	}{
		{"until the end", "meta-data/", 256 * kib, func(body string) string { return "HTTP/1.1 200 OK\r\n\r\n" + body }},
		{"one chunk", "meta-data/", 256 * kib, func(body string) string { return chunked(body, len(body)) }},
		{"chunks of 4 KiB", "meta-data/", 256 * kib, func(body string) string { return chunked(body, 4*kib) }},
		{"chunks of 16 bytes", "meta-data/", 256 * kib, func(body string) string { return chunked(body, 16) }},
		{"chunks of one byte", "user-data", 64 * kib, func(body string) string { return chunked(body, 1) }},
	} {
		t.Run(f.name, func(t *testing.T) { sized(t, f.path, f.limit, f.send) })
	}
}

// A length that is announced is enough to know.
func TestAnnouncedLength(t *testing.T) {
	for name, rest := range map[string]script{"EOF": silent, "hang": hangs} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(nil, func(p *peer) {
					p.say("HTTP/1.1 200 OK\r\nContent-Length: 9437184\r\n\r\nx")
					rest(p)
				})
				e := mustFail(t, w.client(four))
				if !errors.Is(e, imds.ErrTooLarge) || e.Status != 200 || w.now() != 0 {
					t.Errorf("got %+v after %v, want too large at once", e, w.now())
				}
			})
		})
	}
}

// withHeader is an answer whose header has n bytes, its empty line included.
func withHeader(n int, status, body string) string {
	start := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\nX-Pad: ", status, len(body))
	return start + strings.Repeat("x", n-len(start)-4) + "\r\n\r\n" + body
}

func TestHeaderLimit(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		status    int // 0: too large
	}{
		{"at the limit", withHeader(16*kib, "200 OK", "ok"), 200},
		{"at the limit, and a body too", withHeader(16*kib, "200 OK", strings.Repeat("x", 256*kib)), 200},
		{"just below", withHeader(16*kib-1, "200 OK", "ok"), 200},
		{"one over", withHeader(16*kib+1, "200 OK", "ok"), 0},
		{"one over, a failure", withHeader(16*kib+1, "503 Busy", ""), 0},
		{"at the limit, a failure", withHeader(16*kib, "503 Busy", ""), 503},
		{"many headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 1<<20), 0},
		{"one endless header", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("x", 9<<20), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, err := get(t, "x", tt.raw)
				if tt.status == 200 {
					if err != nil || len(body) < 2 {
						t.Errorf("%d bytes, %v", len(body), err)
					}
					return
				}
				e := failed(t)(body, err)
				if tooLarge := errors.Is(e, imds.ErrTooLarge); tooLarge != (tt.status == 0) || e.Status != tt.status {
					t.Errorf("got %+v, want status %d", e, tt.status)
				}
			})
		})
	}
}

// However much the service would like to send, little of it is taken, and
// nothing of it makes an error long.
func TestReadingIsBounded(t *testing.T) {
	for name, start := range map[string]string{
		"no line ever ends": "",
		"lines":             "\n",
		"status line":       "HTTP/1.1 200 ",
		"status":            "HTTP/1.1 ",
		"header":            "HTTP/1.1 200 OK\r\nX: ",
		"not a header":      "HTTP/1.1 200 OK\r\nx",
		"body":              "HTTP/1.1 200 OK\r\n\r\n",
		"length":            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
		"chunk":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
		"chunk extension":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
		"trailer":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
		"an error's body":   "HTTP/1.1 404 Not Found\r\nContent-Length: 99999999\r\n\r\n",
		"an error's chunks": "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
		"Retry-After":       "HTTP/1.1 503 Busy\r\nRetry-After: ",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var taken int
				endless := func(p *peer) {
					p.say(start)
					for block := []byte(strings.Repeat("xyz\x1b", kib/4)); ; {
						n, err := p.Write(block)
						if taken += n; err != nil || taken > 4<<20 {
							p.Close()
							return
						}
					}
				}
				w := newWire(endless, nil)
				c := w.client(four)
				e := mustFail(t, c)
				synctest.Wait()
				if taken > 128*kib {
					t.Errorf("a PUT read %d bytes, want at most 128 KiB: %.80v", taken, e)
				}
				w.put, w.get, taken = nil, endless, 0
				e = mustFail(t, c)
				synctest.Wait()
				if taken > 2<<20 {
					t.Errorf("a GET read %d bytes, want at most 2 MiB: %.80v", taken, e)
				}
				if n := len(e.Error()); n > kib {
					t.Errorf("an error of %d bytes: %.80q...", n, e.Error())
				}
			})
		})
	}
}
