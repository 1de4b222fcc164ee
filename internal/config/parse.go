// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// parse reads the text of one file. In a file that is not TOML the statements
// before the error are still checked, so that all is reported at once.
func parse(keys schema, file, text string) document {
	r := reader{schema: keys, source: Source{File: file}}
	text = strings.TrimPrefix(text, "\ufeff") // as the library does: some editors on other systems begin a file so
	if problem, line := encoding(text); problem != "" {
		r.source.Line = line
		r.problem("", "", problem)
		return r.document
	}
	statements, deep := split(text)
	if deep > 0 {
		r.source.Line = deep
		r.problem("", "", "nested too deeply: no key of this file needs more than three levels")
		return r.document
	}
	line := math.MaxInt
	if err := toml.Unmarshal([]byte(text), new(map[string]any)); err != nil {
		line = r.syntax(text, err)
	}
	for _, s := range statements {
		r.source.Line = s.line
		if s.line >= line {
			break
		}
		if err := r.statement(s); err != nil {
			if line == math.MaxInt { // the splitter and the library differ: nothing may get lost
				r.problem("", "", "broken TOML: "+shorten(printable(err.Error())))
			}
			break
		}
	}
	r.finish(line < math.MaxInt)
	return r.document
}

// encoding says why a file is not UTF-8 text, and in which line.
func encoding(text string) (problem string, line int) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return "UTF-16, but TOML is UTF-8: save it so", 1
	}
	if strings.HasPrefix(text, "\ufeff") {
		return "a second byte order mark: remove it", 1
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return "a NUL byte: this is no text file, or one in UTF-16; TOML is UTF-8", lineAt(text, i)
	}
	for i, c := range text {
		if c == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd") {
			return "not UTF-8, as TOML must be: save it so", lineAt(text, i)
		}
	}
	return "", 0
}

// lineAt is the line of an offset.
func lineAt(text string, offset int) int {
	return 1 + strings.Count(text[:min(max(offset, 0), len(text))], "\n")
}

// syntax reports broken TOML and returns its line.
func (r *reader) syntax(text string, err error) int {
	r.source.Line = 1
	message := err.Error()
	if broken, ok := errors.AsType[toml.ParseError](err); ok {
		// Position.Line is one too many where a newline is the error.
		r.source.Line = lineAt(text, broken.Position.Start)
		message = strings.TrimSuffix(broken.Message, ".")
	}
	message = "broken TOML: " + shorten(printable(message))
	if d := bareDuration(text, r.source.Line); d != "" {
		message += `; a duration is a string: write "` + d + `"`
	}
	r.problem("", "", message)
	return r.source.Line
}

// bareDuration returns the duration that a line sets without quotes: the
// commonest slip of all; "": it does not.
func bareDuration(text string, line int) string {
	for range line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	text, _, _ = strings.Cut(text, "\n")
	_, value, _ := strings.Cut(text, "=")
	value, _, _ = strings.Cut(value, "#")
	value = strings.TrimSpace(value)
	if d, err := time.ParseDuration(value); err != nil || d < 0 || value == "0" {
		return ""
	}
	return value
}

// statement reads one statement by itself: the library says what it is. The
// error is that of a statement that holds the file's.
func (r *reader) statement(s statement) error {
	var decoded map[string]any
	meta, err := toml.Decode(s.text, &decoded)
	if err != nil {
		return err
	}
	if len(meta.Keys()) == 0 {
		return errors.New("not a statement")
	}
	path := meta.Keys()[0]
	if s.header {
		r.header(path, strings.HasPrefix(s.text, "[["))
		return nil
	}
	var raw any = decoded
	for _, name := range path {
		raw = raw.(map[string]any)[name]
	}
	r.value(slices.Concat(r.table, path), raw)
	return nil
}
