// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// maxNesting is the maximum depth of nested objects and arrays in a file. The daemon
// writes at most 12 levels, and [paths.MaxNesting] more for a JSON document in a leaf.
const maxNesting = 64

// nestedWithin reports whether text has at most depth levels of objects and arrays.
// The text need not be valid JSON.
func nestedWithin(text []byte, depth int) bool {
	level := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if level++; level > depth {
				return false
			}
		case '}', ']':
			level--
		case '"':
			i = stringEnd(text, i) - 1
		}
	}
	return true
}

// stringEnd returns the position after the string that begins at i, or the end of text.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// scanner walks over valid JSON without decoding it: most readers want one value, but
// decoding a file of a few MiB into maps could take hundreds of MiB of memory.
type scanner struct {
	text []byte
	at   int
}

// peek returns the first byte of the next token, without moving past it.
func (s *scanner) peek() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':': // separators carry no information in valid JSON
			s.at++
		default:
			return c
		}
	}
}

// skip moves past the next value and returns it.
func (s *scanner) skip() json.RawMessage {
	first := s.peek()
	start := s.at
	switch first {
	case '"':
		s.at = stringEnd(s.text, s.at)
	case '{', '[':
		for level := 0; ; s.at++ {
			switch s.text[s.at] {
			case '{', '[':
				level++
			case '}', ']':
				if level--; level == 0 {
					s.at++
					return s.text[start:s.at]
				}
			case '"':
				s.at = stringEnd(s.text, s.at) - 1
			}
		}
	default:
		if end := bytes.IndexAny(s.text[s.at:], ",]} \t\r\n"); end >= 0 {
			s.at += end
		} else {
			s.at = len(s.text)
		}
	}
	return s.text[start:s.at]
}

// members calls member with each name in the next object, in the order of the file;
// member must move past the value. If member returns false, members stops and returns
// false.
func (s *scanner) members(member func(name string) bool) bool {
	s.peek()
	s.at++
	for s.peek() != '}' {
		if !member(unquote(s.skip())) {
			return false
		}
	}
	s.at++
	return true
}

// unquote decodes a JSON string.
func unquote(literal []byte) string {
	plain := literal[1 : len(literal)-1]
	if bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain)
	}
	var s string
	_ = json.Unmarshal(literal, &s) // cannot fail, because the text is valid JSON
	return s
}

// find returns the value at the segments of a key, or nil if it is absent or null.
func find(text []byte, segs []string) json.RawMessage {
	s := &scanner{text: text}
	for _, seg := range segs {
		if !s.enter(seg) {
			return nil
		}
	}
	if value := s.skip(); string(value) != "null" {
		return value
	}
	return nil
}

// enter moves to the value that one segment selects in the next object or array, and
// reports whether it exists.
func (s *scanner) enter(seg string) bool {
	switch s.peek() {
	case '{':
		return !s.members(func(name string) bool {
			if name == seg {
				return false // stop before the value
			}
			s.skip()
			return true
		})
	case '[':
		index, err := strconv.ParseUint(seg, 10, 31)
		if err != nil || seg != strconv.FormatUint(index, 10) {
			return false
		}
		s.at++
		for ; s.peek() != ']'; index-- {
			if index == 0 {
				return true
			}
			s.skip()
		}
	}
	return false
}
