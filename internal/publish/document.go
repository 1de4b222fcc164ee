// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// document parses a body, which must be exactly one JSON value. Numbers keep their digits.
// If the body is valid, class is empty.
func document(body []byte) (v any, class string) {
	if !utf8.Valid(body) {
		return nil, classNotUTF8
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, classBadResponse
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, classBadResponse
	}
	if !nestedWithin(v, paths.MaxNesting) {
		return nil, classBadResponse
	}
	if encodedSize(v, 0) > maxDocument || values(v) > maxValues {
		return nil, classTooLarge
	}
	return v, ""
}

// maxValues is the maximum number of values in one document. Each decoded value needs far
// more memory than its text, in the daemon and in the readers.
const maxValues = 16_384

// values counts the values in v.
func values(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += values(e)
		}
	case []any:
		for _, e := range v {
			n += values(e)
		}
	}
	return n
}

// The maximum encoded sizes of a document and of meta-data.json, in bytes. Bodies are
// limited when they are fetched, but indentation and escapes can make them thirty times as
// long, and no file may exceed [snapshot.MaxFile].
const (
	maxDocument = 1 << 20
	maxMetaData = 6 << 20
)

// encodedSize estimates the size of v at a depth after encode, in bytes. Names and strings
// are counted exactly, separators are rounded up.
func encodedSize(v any, depth int) int {
	switch v := v.(type) {
	case string:
		return escapedSize(v)
	case json.Number:
		return len(v)
	case []string:
		n := 4 + 2*depth
		for _, e := range v {
			n += escapedSize(e) + 2*depth + 4
		}
		return n
	case []any:
		n := 4 + 2*depth
		for _, e := range v {
			n += encodedSize(e, depth+1) + 2*depth + 4
		}
		return n
	case map[string]any:
		n := 4 + 2*depth
		for key, e := range v {
			n += escapedSize(key) + encodedSize(e, depth+1) + 2*depth + 6
		}
		return n
	default:
		return len("false")
	}
}

// escapedSize returns the maximum length of s as a JSON string, including its quotes.
func escapedSize(s string) int {
	n := len(s) + 2
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			n++
		case c < ' ' || c == 0x7f || c == 0xe2 || c == 0xef: // encoded as \u0001; 0xe2 and 0xef may begin U+2028 and U+FFFD
			n += 5
		}
	}
	return n
}

// nestedWithin reports whether v has at most depth levels of objects and arrays.
func nestedWithin(v any, depth int) bool {
	within := func(e any) bool { return nestedWithin(e, depth-1) }
	switch v := v.(type) {
	case map[string]any:
		return depth > 0 && all(maps.Values(v), within)
	case []any:
		return depth > 0 && all(slices.Values(v), within)
	}
	return true
}

func all(seq iter.Seq[any], ok func(any) bool) bool {
	for v := range seq {
		if !ok(v) {
			return false
		}
	}
	return true
}

// text returns a body as a string. If the body is UTF-8, class is empty.
func text(body []byte) (s, class string) {
	if !utf8.Valid(body) {
		return "", classNotUTF8
	}
	return string(body), ""
}

// encode returns v in the format of every *.json: indented by two spaces, with sorted keys
// (structs declare them in this order), a final newline, and unescaped < > &.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
