// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzResponse compares the parser with that of net/http: they must accept the same
// answers and find the same status, length and body. It is in package imds, because it
// calls readResponse.
func FuzzResponse(f *testing.F) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "HTTP/1.0 200\n\nabc", "HTTP/1.1  404  Not Found\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\nx",
		"HTTP/11 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 204 X\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3 \r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 01\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n2\r\nab\r\n0\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		chunked + "1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX-T: 1\r\n\r\n", chunked + "1 \t\r\na\r\n0\r\n\r\n", chunked + "\r\n", chunked + "1\na\n0\n\n", chunked + "0\r\nno colon\r\n\r\n",
		chunked + "1\r\nab\r\n0\r\n\r\n", chunked + "-1\r\n", chunked + "0x1\r\na\r\n0\r\n\r\n", chunked + "7fffffffffffffff\r\nabc", chunked + "00000000000000001\r\na\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n continued: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nA: 1\r\n b\r\n\r\nx", "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	const limit = 100
	// net/http bounds the digits of a chunk size, what is not data, and the trailer, and wants
	// two bytes after the last chunk, even if the first is a line feed. It reads the trailer.
	stricter := []string{"chunk length too large", "too much non-data", "suspiciously long trailer", "EOF reading trailer", "malformed MIME header"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bytes.HasPrefix(raw, []byte("HTTP/0.0 ")) {
			return // net/http takes it for HTTP/1.1
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		br := bufio.NewReader(bytes.NewReader(raw))
		got, failed := readResponse(br)
		// net/http accepts a status below 100, and looks at Trailer.
		if lower := err == nil && theirs.StatusCode < 100; (err != nil || lower) != (failed != nil) {
			if failed == nil && got.chunked && got.header["Trailer"] != nil {
				return
			}
			t.Fatalf("got %v, net/http: %v", failed, err)
		}
		if failed != nil {
			return
		}
		if got.status != theirs.StatusCode || got.length != theirs.ContentLength || got.chunked != (theirs.TransferEncoding != nil && theirs.Body != http.NoBody) {
			t.Fatalf("got %+v, net/http: %+v", got, theirs)
		}
		want, err := io.ReadAll(io.LimitReader(theirs.Body, limit+1))
		body, failed := got.readBody(br, limit)
		if len(want) > limit || len(body) > limit {
			if len(want) != len(body) && failed == nil {
				t.Fatalf("%d bytes, net/http: %d", len(body), len(want))
			}
			return
		}
		if (err != nil) != (failed != nil) || err == nil && string(body) != string(want) {
			if err != nil && slices.ContainsFunc(stricter, func(s string) bool { return strings.Contains(err.Error(), s) }) {
				return
			}
			t.Fatalf("got %q, %v, net/http: %q, %v", body, failed, want, err)
		}
	})
}
