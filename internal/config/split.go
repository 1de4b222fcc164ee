// SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// maxNesting bounds brackets within brackets, and the dots of one key. No
// valid file needs more than three. The TOML library needs time that grows
// with the cube of it: 20 seconds for 30 KiB of {a={a={a=..., at boot.
const maxNesting = 8

// statement is one header or one key = value of a file, as text.
type statement struct {
	line   int    // of its first byte, from 1
	text   string // without a comment behind it
	value  string // the part after the =
	header bool   // [table] or [[list]]
}

// splitter finds where statements begin and end: at a newline that is not in a
// string, a bracket or a comment. It reads nothing else, the TOML library
// does; in a file that the library rejects, it agrees with the library up to
// the place of the first error.
type splitter struct {
	text   string
	line   int
	depth  int  // of brackets
	dots   int  // of the current key
	deep   int  // the first line beyond maxNesting, or 0
	start  int  // of the current statement, or -1
	at     int  // its line
	equals int  // its first =, or -1
	broken bool // a multi-line string does not end
	found  []statement
}

// split returns the statements of a file in order, and the first line that is
// nested too deeply, or 0.
func split(text string) (found []statement, deep int) { return splitAt("\n", text) }

// elements returns the statements of an inline table, or the items of a list.
func elements(source string) []statement {
	found, _ := splitAt("\n,", source[1:len(source)-1])
	return found
}

func splitAt(ends, text string) (found []statement, deep int) {
	s := splitter{text: text, line: 1, start: -1}
	for pos := 0; pos < len(text); pos++ {
		c := text[pos]
		if s.depth == 0 && (c == '#' || strings.IndexByte(ends, c) >= 0) {
			s.end(pos)
		}
		s.take(c, pos)
		if c == '"' || c == '\'' || c == '#' {
			n := s.skip(text[pos:])
			s.line += strings.Count(text[pos:pos+n], "\n")
			pos += n - 1
		}
	}
	s.end(len(text))
	return s.found, s.deep
}

// skip returns the length of the string of one of the four kinds, or of the comment, at the
// start of text. Up to two quotes may stand before the closing three. A string that does not
// end on its line, where it must, ends there: the library reports it. After an unterminated
// multi-line string, every string ends on its line, so that the time stays linear.
func (s *splitter) skip(text string) int {
	quote, escapes := text[0], text[0] == '"'
	if three := strings.Repeat(text[:1], 3); quote != '#' && !s.broken && strings.HasPrefix(text, three) {
		for i := 3; i < len(text); i++ {
			if escapes && text[i] == '\\' {
				i++
			} else if strings.HasPrefix(text[i:], three) {
				more := len(text[i:]) - len(strings.TrimLeft(text[i:], text[:1]))
				return i + min(more, 5)
			}
		}
		s.broken = true
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\n':
			return i
		case quote != '#' && text[i] == quote:
			return i + 1
		case escapes && text[i] == '\\' && !strings.HasPrefix(text[i+1:], "\n"):
			i++
		}
	}
	return len(text)
}

// take looks at a character that is not inside a string or a comment.
func (s *splitter) take(c byte, pos int) {
	switch c {
	case '\n':
		s.line++
		s.dots = 0
		return
	case '#', ' ', '\t', '\r':
		return
	case ',':
		s.dots = 0
		if s.start < 0 {
			return // between the elements of an inline table or list
		}
	}
	if s.start < 0 {
		s.start, s.at, s.equals = pos, s.line, -1
	}
	switch c {
	case '[', '{':
		s.depth++
		s.dots = 0
	case ']', '}':
		s.depth = max(0, s.depth-1)
		s.dots = 0
	case '=':
		if s.depth == 0 && s.equals < 0 {
			s.equals = pos
		}
		s.dots = 0
	case '.':
		s.dots++
	}
	if s.deep == 0 && (s.depth > maxNesting || s.dots > maxNesting) {
		s.deep = s.line
	}
}

// end closes the current statement, if there is one.
func (s *splitter) end(pos int) {
	if s.start >= 0 {
		const space = " \t\r" // alone, the library would not take the "\r" of "\r\n" for a newline
		found := statement{line: s.at, text: strings.TrimRight(s.text[s.start:pos], space)}
		found.header = found.text[0] == '['
		if s.equals >= 0 {
			found.value = strings.Trim(s.text[s.equals+1:pos], space)
		}
		s.found = append(s.found, found)
	}
	s.start = -1
}
