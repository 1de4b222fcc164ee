// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// wire reads a connection, at most some bytes of it. It keeps what net/http's
// parser loses: why reading ended, and how the stream began.
type wire struct {
	conn  net.Conn
	left  int64
	start []byte
	err   error // of the connection; io.EOF when it was closed
}

// Read implements [io.Reader].
func (w *wire) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, io.EOF
	}
	n, err := w.conn.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if need := len(httpStart) - len(w.start); need > 0 {
		w.start = append(w.start, p[:min(n, need)]...)
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

var httpStart = []byte("HTTP/")

// explain returns why net/http's parser, whose errors have no types, gave up: the
// connection broke, the limit was reached, or this is not HTTP. The parser's own
// message is omitted, because it quotes the answer, which may contain a token.
func (w *wire) explain() error {
	switch {
	case w.left <= 0:
		return ErrTooLarge
	case w.err != nil && !errors.Is(w.err, io.EOF):
		return w.err
	case w.err != nil && bytes.HasPrefix(httpStart, w.start):
		return io.ErrUnexpectedEOF
	default:
		return fmt.Errorf("%w: not HTTP", ErrMalformed)
	}
}

// bufferBytes is the size of the buffers of a request and of its answer. Nearly all of
// them fit. With the 4 KiB of net/http, a collection of 95 paths caused 160 more page
// faults.
const bufferBytes = 1 << 10

// exchange sends a request and reads its answer.
func (r request) exchange(conn net.Conn, message *http.Request) (*answer, *Error) {
	bw := bufio.NewWriterSize(conn, bufferBytes)
	err := message.Write(bw)
	if err == nil {
		err = bw.Flush()
	}
	if err != nil {
		if errors.Is(err, io.ErrClosedPipe) { // net.Pipe's equivalent of EPIPE
			err = io.ErrUnexpectedEOF
		}
		return nil, r.fail(err)
	}
	if r.sent != nil {
		r.sent()
	}
	w := &wire{conn: conn, left: maxHeaderBytes}
	br := bufio.NewReaderSize(w, bufferBytes)
	resp, err := w.header(br, r.method)
	if err != nil {
		return nil, r.fail(err)
	}
	// The body is never closed: that would read the rest of it, and the connection
	// ends with the request anyway.
	e := r.fail(nil)
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return nil, e // the body of an error is HTML for people
	}
	tooLarge := fmt.Errorf("%w: over %d bytes", ErrTooLarge, r.limit)
	if resp.ContentLength > r.limit {
		e.Err = tooLarge
		return nil, e
	}
	// The limit counted the header and what was read ahead of it; from here on it
	// leaves room for the framing of chunks, even of one byte each.
	w.left = 7*r.limit + maxHeaderBytes
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	switch {
	case int64(len(body)) > r.limit:
		e.Err = tooLarge
	case err != nil:
		e.Err = w.explain()
	case len(body) == 0:
		return &answer{status: resp.StatusCode, header: resp.Header}, nil
	default:
		return &answer{status: resp.StatusCode, body: body, header: resp.Header}, nil
	}
	return nil, e
}

// header reads up to the final answer's header, skipping interim answers (RFC
// 9110 section 15.2) other than 101, which was not requested.
func (w *wire) header(br *bufio.Reader, method string) (*http.Response, error) {
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			if err = w.explain(); errors.Is(err, ErrTooLarge) {
				err = fmt.Errorf("%w: header over %d bytes", ErrTooLarge, maxHeaderBytes)
			}
			return nil, err
		}
		if resp.StatusCode < 100 { // RFC 9110 section 15: three digits, 100 or more
			return nil, fmt.Errorf("%w: no HTTP status", ErrMalformed)
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("%w: more than %d interim answers", ErrTooLarge, maxInterim)
}
