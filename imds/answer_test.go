// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imds-ready/imds-ready/imds"
)

// get asks for one path whose answer is these bytes.
func get(t *testing.T, path, raw string) ([]byte, error) {
	t.Helper()
	w := newWire(nil, says(raw))
	c := w.client(four)
	body, err := c.Get(t.Context(), path)
	if got := c.Requests(); got != 2 {
		t.Errorf("Requests = %d, want 2", got)
	}
	return body, err
}

func TestBodies(t *testing.T) {
	gzip := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffK\xcb\xcf\x07\x00!es\x8c\x03\x00\x00\x00" // "foo"
	for _, tt := range []struct{ name, raw, want string }{
		{"content length", ok("i-1234"), "i-1234"},
		{"nothing is trimmed", ok(" a\r\n\x00\xff\n"), " a\r\n\x00\xff\n"},
		{"until the end", "HTTP/1.0 200 OK\r\n\r\nabc", "abc"},
		{"until the end, 1.1", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", "abc"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"},
		{"chunked with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "abc"},
		{"bytes after the length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc"},
		{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "abc"},
		{"no reason phrase", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", "abc"},
		{"gzip is not touched", answer("200 OK", "Content-Encoding: gzip\r\n", gzip), gzip},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, err := get(t, "x", tt.raw)
				if err != nil || string(body) != tt.want {
					t.Errorf("got %q, %v, want %q", body, err, tt.want)
				}
			})
		})
	}
}

// Nothing there is a nil body and no error: the policy decides what it means.
func TestEmptyAnswers(t *testing.T) {
	for name, raw := range map[string]string{
		"200, length 0":       ok(""),
		"200, no length":      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		"200, chunked":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"204":                 "HTTP/1.1 204 No Content\r\n\r\n",
		"204 with a length":   "HTTP/1.1 204 No Content\r\nContent-Length: 9999999\r\n\r\n",
		"204 with some bytes": "HTTP/1.1 204 No Content\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if body, err := get(t, "x", raw); err != nil || body != nil {
					t.Errorf("got %#v, %v, want nil, nil", body, err)
				}
			})
		})
	}
}

// Every status but 200 and 204 is a failure that says the status and no more.
func TestStatuses(t *testing.T) {
	for _, status := range []int{101, 201, 202, 203, 205, 206, 299, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 410, 418, 429, 499, 500, 502, 503, 504, 599, 600, 999} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				raw := fmt.Sprintf("HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:9/\r\nConnection: close\r\n\r\n<html>", status)
				e := failed(t)(get(t, "a/b", raw))
				same(t, e, imds.Error{Op: "GET", Endpoint: four, Path: "a/b", Connected: true, Status: status})
				if want := fmt.Sprintf("GET %s/latest/a/b: status %d", four, status); e.Err != nil || e.Error() != want {
					t.Errorf("got %q with cause %v, want %q", e, e.Err, want)
				}
			})
		})
	}
}

func TestInterimAnswers(t *testing.T) {
	interim := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	for _, tt := range []struct {
		name, before, last string
		status             int // 0: the body "ok"; -1: too large
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
		{"without end", strings.Repeat(interim, 10000), "", -1},
		{"large ones", strings.Repeat("HTTP/1.1 103 X\r\nX: "+strings.Repeat("x", 6000)+"\r\n\r\n", 3), ok("ok"), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
	}
}

// What came before the connection broke is a fact.
func TestBrokenConnection(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		status    int
	}{
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := failed(t)(get(t, "x", tt.raw))
				same(t, e, imds.Error{Op: "GET", Endpoint: four, Path: "x", Connected: true, Status: tt.status})
				if !errors.Is(e, io.ErrUnexpectedEOF) || errors.Is(e, imds.ErrMalformed) || e.Timeout() {
					t.Errorf("%v: want only an unexpected EOF", e)
				}
			})
		})
	}
}

// The service hangs up without having read the request.
func TestClosedBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := mustFail(t, &imds.Client{Endpoints: []string{four}, Dial: closed})
		same(t, e, imds.Error{Op: "PUT", Endpoint: four, Path: "api/token", Connected: true})
		if !errors.Is(e, io.ErrUnexpectedEOF) {
			t.Errorf("%v: want an unexpected EOF, as when it is read", e)
		}
	})
}

func TestNotHTTP(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		status    int
	}{
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", 0},
		{"SSH, and no line", "SSH-2.0", 0},
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
		{"a chunk's length past 64 bits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := failed(t)(get(t, "x", tt.raw))
				same(t, e, imds.Error{Op: "GET", Endpoint: four, Path: "x", Connected: true, Status: tt.status})
				if !errors.Is(e, imds.ErrMalformed) || errors.Is(e, imds.ErrTooLarge) || errors.Is(e, io.ErrUnexpectedEOF) {
					t.Errorf("%v: want only malformed", e)
				}
			})
		})
	}
}
