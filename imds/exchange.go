// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
)

// wire reads a connection, at most some bytes of it. It keeps what the
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
	if w.err != nil { // after a reset, a second read would report an end
		return 0, w.err
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

// explain returns why reading the answer failed, of which err is the parser's view: the
// connection broke, the limit was reached, or the answer is malformed.
func (w *wire) explain(err error) error {
	switch {
	case w.left <= 0:
		return ErrTooLarge
	case w.err != nil && !errors.Is(w.err, io.EOF):
		return w.err
	case w.err != nil && bytes.HasPrefix(httpStart, w.start):
		return io.ErrUnexpectedEOF
	case errors.Is(err, ErrMalformed):
		return err
	default:
		return malformed("not HTTP")
	}
}

// bufferBytes is the size of the buffers of a request and of its answer. Nearly all of
// them fit. With 4 KiB, a collection of 95 paths caused 160 more page faults.
const bufferBytes = 1 << 10

// exchange sends a request and reads its answer.
func (r request) exchange(conn net.Conn, message []byte) (*answer, *Error) {
	if _, err := conn.Write(message); err != nil {
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
	resp, err := w.header(br)
	if err != nil {
		return nil, r.fail(err)
	}
	e := r.fail(nil)
	e.Status = resp.status
	e.RetryAfter = retryAfter(resp.header)
	if resp.status != 200 && resp.status != 204 {
		return nil, e // the body of an error is HTML for people
	}
	tooLarge := fmt.Errorf("%w: over %d bytes", ErrTooLarge, r.limit)
	if resp.length > r.limit {
		e.Err = tooLarge
		return nil, e
	}
	// The limit counted the header and what was read ahead of it; from here on it
	// leaves room for the framing of chunks, even of one byte each.
	w.left = 7*r.limit + maxHeaderBytes
	body, err := resp.readBody(br, r.limit)
	switch {
	case int64(len(body)) > r.limit:
		e.Err = tooLarge
	case err != nil:
		e.Err = w.explain(err)
	case len(body) == 0:
		return &answer{status: resp.status, header: resp.header}, nil
	default:
		return &answer{status: resp.status, body: body, header: resp.header}, nil
	}
	return nil, e
}

// header reads up to the final answer's header, skipping interim answers (RFC
// 9110 section 15.2) other than 101, which was not requested.
func (w *wire) header(br *bufio.Reader) (*response, error) {
	for range maxInterim + 1 {
		resp, err := readResponse(br)
		if err != nil {
			if err = w.explain(err); errors.Is(err, ErrTooLarge) {
				err = fmt.Errorf("%w: header over %d bytes", ErrTooLarge, maxHeaderBytes)
			}
			return nil, err
		}
		if resp.status/100 != 1 || resp.status == 101 {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("%w: more than %d interim answers", ErrTooLarge, maxInterim)
}
