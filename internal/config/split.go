// SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// maxNesting bounds brackets within brackets, and the dots of one key. No
// legal file needs more than three. The TOML library needs time that grows
// with the cube of it: 20 seconds for 30 KiB of {a={a={a=..., at boot.
const maxNesting = 8

// statement is one header or one key = value of a file, as text.
type statement struct {
	line   int // of its first byte, from 1
	text   string
	header bool // [table] or [[list]]
}

// splitter finds where statements begin and end: at a newline that is in no
// string, no bracket and no comment. It reads nothing else, the TOML library
// does; in a file that the library rejects, it agrees with the library up to
// the place of the first error.
type splitter struct {
	text  string
	pos   int
	line  int
	depth int // of brackets
	dots  int // of the key at hand
	deep  int // the first line beyond maxNesting; 0: none
	start int // of the statement at hand; -1: none
	at    int // its line
	found []statement
}

// split returns the statements of a file in order, and the first line that is
// nested too deeply; 0: none is.
func split(text string) (found []statement, deep int) {
	s := splitter{text: text, line: 1, start: -1}
	for s.pos < len(s.text) {
		s.step()
	}
	s.end()
	return s.found, s.deep
}

func (s *splitter) step() {
	c := s.text[s.pos]
	switch c {
	case '#':
		s.comment()
		return
	case '\n':
		s.dots = 0
		if s.depth == 0 {
			s.end()
		}
		s.line++
		s.pos++
		return
	case ' ', '\t', '\r':
		s.pos++
		return
	}
	if s.start < 0 {
		s.start, s.at = s.pos, s.line
	}
	switch c {
	case '"', '\'':
		s.quoted(s.text[s.pos : s.pos+1])
		return
	case '[', '{':
		s.depth++
		s.dots = 0
	case ']', '}':
		s.depth = max(0, s.depth-1)
		s.dots = 0
	case '=', ',':
		s.dots = 0
	case '.':
		s.dots++
	}
	if s.deep == 0 && (s.depth > maxNesting || s.dots > maxNesting) {
		s.deep = s.line
	}
	s.pos++
}

// end closes the statement at hand, if there is one.
func (s *splitter) end() {
	if s.start >= 0 {
		// Alone, the library would not take the "\r" of "\r\n" for a newline.
		text := strings.TrimRight(s.text[s.start:s.pos], "\r")
		s.found = append(s.found, statement{line: s.at, text: text, header: text[0] == '['})
	}
	s.start = -1
}

// comment skips to the newline, which it leaves.
func (s *splitter) comment() {
	if i := strings.IndexByte(s.text[s.pos:], '\n'); i >= 0 {
		s.pos += i
	} else {
		s.pos = len(s.text)
	}
}

// quoted skips a string of any of the four kinds. One that does not end on
// its line, where it must, ends there: the library reports it.
func (s *splitter) quoted(quote string) {
	triple := strings.Repeat(quote, 3)
	multi := strings.HasPrefix(s.text[s.pos:], triple)
	if multi {
		quote = triple
	}
	for s.pos += len(quote); s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '\n' && !multi:
			return
		case c == '\n':
			s.line++
		case c == '\\' && quote[0] == '"' && s.pos+1 < len(s.text) && s.text[s.pos+1] != '\n':
			s.pos++
		case strings.HasPrefix(s.text[s.pos:], quote):
			s.pos += len(quote)
			// Up to two quotes may stand before the closing three.
			for n := 0; multi && n < 2 && s.pos < len(s.text) && s.text[s.pos] == quote[0]; n++ {
				s.pos++
			}
			return
		}
	}
}
