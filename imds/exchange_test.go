// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// get requests one path whose answer is raw.
func get(t *testing.T, path, raw string) ([]byte, error) {
	t.Helper()
	w := newWire(nil, sends(raw))
	c := w.client(four)
	body, err := c.Get(t.Context(), path)
	if got := c.Requests(); got != 2 {
		t.Errorf("Requests = %d, want 2", got)
	}
	return body, err
}

const trailer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" // its lines follow

// An empty body is nil and not an error.
func TestBodies(t *testing.T) {
	gzip := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffK\xcb\xcf\x07\x00!es\x8c\x03\x00\x00\x00" // "foo"
	for _, tt := range []struct{ name, raw, want string }{
		{"content length", ok("i-1234"), "i-1234"},
		{"nothing is trimmed", ok(" a\r\n\x00\xff\n"), " a\r\n\x00\xff\n"},
		{"until the end", "HTTP/1.0 200 OK\r\n\r\nabc", "abc"},
		{"until the end, 1.1", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", "abc"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"},
		{"chunked with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "abc"},
		{"chunked with a trailer of 64 lines", trailer + strings.Repeat("X: 1\r\n", 64) + "\r\n", "abc"},
		{"bytes after the length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc"},
		{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "abc"},
		{"no reason phrase", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", "abc"},
		{"gzip is not touched", answer("200 OK", "Content-Encoding: gzip\r\n", gzip), gzip},
		{"200, length 0", ok(""), ""},
		{"200, no length", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", ""},
		{"200, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 9999999\r\n\r\n", ""},
		{"204 with some bytes", "HTTP/1.1 204 No Content\r\n\r\nabc", ""},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			body, err := get(t, "x", tt.raw)
			if err != nil || string(body) != tt.want || (body == nil) != (tt.want == "") {
				t.Errorf("got %#v, %v, want %q", body, err, tt.want)
			}
		})
	}
}

// Every status except 200 and 204, and 204 to a PUT, is a failure with the status
// and no cause, and is not retried.
func TestStatuses(t *testing.T) {
	for _, status := range []int{101, 201, 202, 203, 204, 205, 206, 299, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 410, 418, 421, 429, 499, 500, 502, 503, 504, 599, 600, 999} {
		raw := sends(fmt.Sprintf("HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:9/\r\nConnection: close\r\n\r\n<html>", status))
		for _, tt := range []struct {
			method, path string
			w            *wire
			trace        string
		}{
			{"PUT", "api/token", &wire{put: raw}, "0s SYN four, 0s PUT four"},
			{"GET", "meta-data/x", &wire{get: raw}, "0s SYN four, 0s PUT four, 0s SYN four, 0s GET four"},
		} {
			if status == 204 && tt.method == "GET" {
				continue
			}
			bubble(t, fmt.Sprint(status, " to a ", tt.method), func(t *testing.T) {
				tt.w.start = time.Now()
				c := tt.w.client(four)
				e := mustFail(t, c)
				same(t, e, imds.Error{Op: tt.method, Endpoint: four, Path: tt.path, Connected: true, Status: status})
				if want := fmt.Sprintf("%s %s/latest/%s: status %d", tt.method, four, tt.path, status); e.Err != nil || e.Error() != want {
					t.Errorf("got %q with cause %v, want %q", e, e.Err, want)
				}
				tt.w.expect(t, tt.trace)
				if c.Endpoint() != four {
					t.Errorf("Endpoint = %q, want the one that answered", c.Endpoint())
				}
			})
		}
	}
}

func TestInterimAnswers(t *testing.T) {
	interim := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	for _, tt := range []struct {
		name, before, last string
		status             int // 0 if the body is "ok", -1 if the answer is too large
	}{
		{"100", "HTTP/1.1 100 Continue\r\n\r\n", ok("ok"), 0},
		{"102", "HTTP/1.1 102 Processing\r\n\r\n", ok("ok"), 0},
		{"199", "HTTP/1.1 199 X\r\n\r\n", ok("ok"), 0},
		{"one, then 404", interim, answer("404 Not Found", "", ""), 404},
		{"101 is not one", "", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 101},
		{"101 after one", interim, "HTTP/1.1 101 X\r\n\r\n", 101},
		{"five", strings.Repeat(interim, 5), ok("ok"), 0},
		{"five, then 503", strings.Repeat(interim, 5), answer("503 X", "", ""), 503},
		{"six", strings.Repeat(interim, 6), ok("ok"), -1},
		{"endless", strings.Repeat(interim, 10000), "", -1},
		{"large ones", strings.Repeat("HTTP/1.1 103 X\r\nX: "+strings.Repeat("x", 6000)+"\r\n\r\n", 3), ok("ok"), -1},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			body, err := get(t, "x", tt.before+tt.last)
			if tt.status == 0 {
				if err != nil || string(body) != "ok" {
					t.Errorf("got %q, %v", body, err)
				}
				return
			}
			e := failed(t)(body, err)
			if tooLarge := errors.Is(e, imds.ErrTooLarge); tooLarge != (tt.status < 0) || e.Status != max(0, tt.status) {
				t.Errorf("got %+v, want status %d", e, tt.status)
			}
		})
	}
}

// A broken connection and an answer that is not HTTP are different errors. A status that
// arrived before is in the error.
func TestIncompleteAnswers(t *testing.T) {
	type row struct {
		name, raw string
		status    int
	}
	for cause, rows := range map[error][]row{
		io.ErrUnexpectedEOF: {
			{"at once", "", 0},
			{"in the version", "HTT", 0},
			{"in the status line", "HTTP/1.1 20", 0},
			{"after the status line", "HTTP/1.1 200 OK\r\n", 0},
			{"in a header", "HTTP/1.1 200 OK\r\nContent-Le", 0},
			{"before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", 0},
			{"after an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", 0},
			{"before the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200},
			{"in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345678", 200},
			{"before a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200},
			{"in a chunk's length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", 200},
			{"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", 200},
			{"after a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 200},
			{"in the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", 200},
		},
		imds.ErrMalformed: {
			{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", 0},
			{"SSH without a line feed", "SSH-2.0", 0},
			{"one byte", "\x15", 0},
			{"HTML", "<!DOCTYPE html>\n<html></html>\n", 0},
			{"binary", "\x15\x03\x01\x00\x02\x02\x16\n", 0},
			{"an empty line", "\r\n\r\n", 0},
			{"another protocol", "ICY 200 OK\r\n\r\n", 0},
			{"no status", "HTTP/1.1\r\n\r\n", 0},
			{"a status in letters", "HTTP/1.1 abc OK\r\n\r\n", 0},
			{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", 0},
			{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0},
			{"a status of zeroes", "HTTP/1.1 000 X\r\nConnection: close\r\n\r\n", 0},
			{"a negative status", "HTTP/1.1 -12 X\r\n\r\n", 0},
			{"a header without a colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", 0},
			{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0},
			{"a length in letters", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0},
			{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0},
			{"another transfer encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 0},
			{"a chunk's length in letters", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 200},
			{"a chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 200},
			{"a chunk's extension of 2 KiB", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 2048) + "\r\na\r\n0\r\n\r\n", 200},
			{"a trailer of 65 lines", trailer + strings.Repeat("X: 1\r\n", 65) + "\r\n", 200},
			{"a trailer with a line of 2 KiB", trailer + "X: " + strings.Repeat("x", 2048) + "\r\n\r\n", 200},
			{"a chunk's length past 64 bits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 200},
		},
	} {
		for _, tt := range rows {
			bubble(t, tt.name, func(t *testing.T) {
				e := failed(t)(get(t, "x", tt.raw))
				same(t, e, imds.Error{Op: "GET", Endpoint: four, Path: "x", Connected: true, Status: tt.status})
				for _, other := range []error{io.ErrUnexpectedEOF, imds.ErrMalformed, imds.ErrTooLarge} {
					if errors.Is(e, other) != (other == cause) || e.Timeout() {
						t.Errorf("%v: want only %v", e, cause)
					}
				}
			})
		}
	}
}

// An error says what is wrong with an answer, without its content.
func TestMalformedAnswers(t *testing.T) {
	for raw, want := range map[string]string{
		"220 secret ready\r\n":                                                 "not HTTP",
		"HTTP/1.1 200 OK\r\nsecret\r\n\r\n":                                    "a line of the header has no name",
		"HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n":                    "Content-Length is not a number",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n":    "two values of Content-Length",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n":          "a Transfer-Encoding other than chunked",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n":      "the size of a chunk is not a number",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nsecret\r\n": "a chunk is longer than its size",
		trailer + strings.Repeat("secret: 1\r\n", 65):                          "a long trailer",
		trailer + strings.Repeat("secret", 400):                                "a long line between chunks",
	} {
		bubble(t, want, func(t *testing.T) {
			e := failed(t)(get(t, "x", raw))
			if got := e.Error(); !strings.HasSuffix(got, ": malformed answer: "+want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// The service closes the connection without reading the request.
func TestClosedBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := mustFail(t, &imds.Client{Endpoints: []string{four}, Dial: closed})
		same(t, e, imds.Error{Op: "PUT", Endpoint: four, Path: "api/token", Connected: true})
		if !errors.Is(e, io.ErrUnexpectedEOF) {
			t.Errorf("%v: want an unexpected EOF", e)
		}
	})
}

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

// checkLimit sends a body of limit bytes, which is returned, and one of one byte
// more, which is an error.
func checkLimit(t *testing.T, path string, limit int, send func(string) string) {
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

// The limit depends on the path. The framing does not count toward it.
func TestBodyLimits(t *testing.T) {
	for _, f := range []struct {
		name  string
		path  string
		limit int
		send  func(body string) string
	}{
		{"a length", "dynamic/instance-identity/document", 64 * kib, ok},
		{"a length", "user-data", 64 * kib, ok},
		{"a length", "dynamic/instance-identity/pkcs7", 256 * kib, ok},
		{"a length", "meta-data/", 256 * kib, ok},
		{"a length", "meta-data/user-data", 256 * kib, ok},
		{"a length", "", 256 * kib, ok},
		{"until the end", "meta-data/", 256 * kib, func(body string) string { return "HTTP/1.1 200 OK\r\n\r\n" + body }},
		{"one chunk", "meta-data/", 256 * kib, func(body string) string { return chunked(body, len(body)) }},
		{"chunks of 4 KiB", "meta-data/", 256 * kib, func(body string) string { return chunked(body, 4*kib) }},
		{"chunks of 16 bytes", "meta-data/", 256 * kib, func(body string) string { return chunked(body, 16) }},
		{"chunks of one byte", "user-data", 64 * kib, func(body string) string { return chunked(body, 1) }},
	} {
		t.Run(f.name+" of "+f.path, func(t *testing.T) { checkLimit(t, f.path, f.limit, f.send) })
	}
}

// If the announced length is over the limit, the body is not read.
func TestAnnouncedLength(t *testing.T) {
	for name, rest := range map[string]script{"EOF": closes, "hang": hangs} {
		bubble(t, name, func(t *testing.T) {
			w := newWire(nil, func(p *peer) {
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 9437184\r\n\r\nx")
				rest(p)
			})
			e := mustFail(t, w.client(four))
			if !errors.Is(e, imds.ErrTooLarge) || e.Status != 200 || w.now() != 0 {
				t.Errorf("got %+v after %v, want too large at once", e, w.now())
			}
		})
	}
}

// withHeader is an answer whose header has n bytes, including its empty line.
func withHeader(n int, status, body string) string {
	start := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\nX-Pad: ", status, len(body))
	return start + strings.Repeat("x", n-len(start)-4) + "\r\n\r\n" + body
}

func TestHeaderLimit(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		status    int // 0 if the header is too large
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
		bubble(t, tt.name, func(t *testing.T) {
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
	}
}

// However much the service sends, the client reads a bounded part of it, and
// errors stay short.
func TestReadingIsBounded(t *testing.T) {
	for name, start := range map[string]string{
		"endless line":      "",
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
		bubble(t, name, func(t *testing.T) {
			var sent int
			endless := func(p *peer) {
				p.send(start)
				for block := []byte(strings.Repeat("xyz\x1b", kib/4)); ; {
					n, err := p.Write(block)
					if sent += n; err != nil || sent > 4<<20 {
						p.Close()
						return
					}
				}
			}
			w := newWire(endless, nil)
			c := w.client(four)
			e := mustFail(t, c)
			synctest.Wait()
			if sent > 128*kib {
				t.Errorf("a PUT read %d bytes, want at most 128 KiB: %.80v", sent, e)
			}
			w.put, w.get, sent = nil, endless, 0
			e = mustFail(t, c)
			synctest.Wait()
			if sent > 2<<20 {
				t.Errorf("a GET read %d bytes, want at most 2 MiB: %.80v", sent, e)
			}
			if n := len(e.Error()); n > kib {
				t.Errorf("an error of %d bytes: %.80q...", n, e.Error())
			}
		})
	}
}
