// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
)

// response is an answer whose body is still on the connection.
type response struct {
	status  int // 100 to 999
	header  textproto.MIMEHeader
	length  int64 // of the body, or -1 if it ends with the connection or the last chunk
	chunked bool
}

// readResponse reads the status line and the header (RFC 9112 sections 4 and 5), and
// finds out how the body ends (section 6.3). See ARCHITECTURE.md for why net/http does not.
func readResponse(br *bufio.Reader) (*response, error) {
	lines := textproto.NewReader(br)
	line, err := lines.ReadLine()
	if err != nil {
		return nil, err
	}
	version, status, _ := strings.Cut(line, " ")
	status, _, _ = strings.Cut(strings.TrimLeft(status, " "), " ")
	code, err := strconv.ParseUint(status, 10, 0)
	if err != nil || len(status) != 3 || code < 100 || !isVersion(version) {
		return nil, malformed("not HTTP")
	}
	r := &response{status: int(code), length: -1}
	r.header, err = lines.ReadMIMEHeader()
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return nil, malformed("a line of the header has no name")
	} else if err != nil {
		return nil, err
	}
	if coding := r.header["Transfer-Encoding"]; coding != nil && version >= "HTTP/1.1" {
		if len(coding) != 1 || !strings.EqualFold(coding[0], "chunked") {
			return nil, malformed("a Transfer-Encoding other than chunked")
		}
		r.chunked = true
	}
	for _, value := range r.header["Content-Length"] {
		value = textproto.TrimString(value)
		if value != textproto.TrimString(r.header.Get("Content-Length")) {
			return nil, malformed("two values of Content-Length")
		}
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return nil, malformed("Content-Length is not a number")
		}
		r.length = int64(n)
	}
	switch {
	case code < 200, code == 204, code == 304: // these have no body, whatever the header says
		r.length, r.chunked = 0, false
	case r.chunked: // overrides a length
		r.length = -1
	}
	return r, nil
}

// malformed returns an error that says what is wrong with an answer. It never quotes the
// answer, which may contain a token.
func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// isVersion reports whether s is an HTTP-version (RFC 9112 section 2.3).
func isVersion(s string) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return len(s) == len("HTTP/1.1") && strings.HasPrefix(s, "HTTP/") && digit(s[5]) && s[6] == '.' && digit(s[7])
}

// readBody reads the body, or limit bytes and one more if it is longer.
func (r *response) readBody(br *bufio.Reader, limit int64) ([]byte, error) {
	switch {
	case r.chunked:
		return readChunks(br, limit)
	case r.length < 0:
		return io.ReadAll(io.LimitReader(br, limit+1))
	}
	body := make([]byte, min(r.length, limit+1))
	_, err := io.ReadFull(br, body)
	return body, err
}

// maxTrailer is how many lines the trailer of a chunked body may have. They are skipped.
const maxTrailer = 64

// readChunks reads chunks up to and including the trailer (RFC 9112 section 7.1), or
// until they have more than limit bytes. No line that is not data may be longer than
// [bufferBytes].
func readChunks(br *bufio.Reader, limit int64) ([]byte, error) {
	var body []byte
	for {
		line, err := readLine(br)
		if err != nil {
			return nil, err
		}
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		digits, _, _ := bytes.Cut(line, []byte(";")) // extensions mean nothing here
		n, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
		if err != nil || !ok {
			return nil, malformed("the size of a chunk is not a number")
		}
		if n == 0 {
			break
		}
		start := int64(len(body))
		body = append(body, make([]byte, min(int64(n), limit+1-start))...)
		if _, err := io.ReadFull(br, body[start:]); err != nil || int64(len(body)) > limit {
			return body, err
		}
		var end [2]byte
		if _, err := io.ReadFull(br, end[:]); err != nil {
			return nil, err
		}
		if string(end[:]) != "\r\n" {
			return nil, malformed("a chunk is longer than its size")
		}
	}
	for range maxTrailer + 1 {
		line, err := readLine(br)
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return body, err
		}
	}
	return nil, malformed("a long trailer")
}

// readLine reads a line of the framing, which is valid until the next read.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, malformed("a long line between chunks")
	}
	return line, err
}
