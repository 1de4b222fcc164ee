// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds the objects and arrays inside each other in one JSON
// document. IMDS serves two or three; without a bound, 256 KiB of "[" would be
// 60 MiB of indentation.
const maxNesting = 16

// document parses a body that must be one JSON value, and nothing behind it.
// Numbers stay as they are written. The class is "" when it is one.
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
	if !nestedWithin(v, maxNesting) {
		return nil, classBadResponse
	}
	if encodedSize(v, 0) > maxDocument || values(v) > maxValues {
		return nil, classTooLarge
	}
	return v, ""
}

// maxValues bounds the values in one document: each costs far more memory than it
// has bytes, in the daemon and in the readers.
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

// What a file may become. A body is bounded when it is read, but written out
// with indentation and escapes it is up to thirty times as long, and what is
// written must be readable again (maxFile).
const (
	maxDocument = 1 << 20
	maxMetaData = 6 << 20
)

// encodedSize is how many bytes encode makes of v at a depth, about: names and
// strings are exact, separators are rounded up.
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

// escapedSize is the length of a JSON string.
func escapedSize(s string) int {
	n := len(s) + 2
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			n++
		case c < ' ' || c == 0x7f || c == 0xe2 || c == 0xef: // \u0001; and perhaps U+2028 or U+FFFD
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

// text is a body as a string, byte by byte. The class is "" when it is UTF-8.
func text(body []byte) (s, class string) {
	if !utf8.Valid(body) {
		return "", classNotUTF8
	}
	return string(body), ""
}

// lines splits a list as IMDS serves it: LF between the lines, none at the end.
// Other servers end the last line too, or send CRLF. An empty body is an empty
// list.
func lines(s string) []string {
	s = Chomp(s)
	if s == "" {
		return []string{}
	}
	list := strings.Split(s, "\n")
	for i, line := range list {
		list[i] = strings.TrimSuffix(line, "\r")
	}
	return list
}

// Chomp is s without a final LF or CRLF, which look-alike servers add.
func Chomp(s string) string {
	if line, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(line, "\r")
	}
	return s
}

// encode is how every *.json of the directory looks: two spaces, sorted keys
// (structs declare them so), a final newline, and < > & as they are.
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
