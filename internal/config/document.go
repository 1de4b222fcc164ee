// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/imds-ready/imds-ready/internal/words"
)

// assignment is one key that a file or a variable sets.
type assignment struct {
	key    key
	set    func(*values)
	source Source
}

// entry is one table of a list: a [[retry.rule]] or a [[require]].
type entry struct {
	list   string
	source Source // of its header
	fields map[string]assignment
}

// document is the content of one file. With problems, its assignments may be
// invalid.
type document struct {
	assignments []assignment
	entries     []*entry
	problems    Problems
}

// reader turns the statements of one file into a document.
type reader struct {
	document
	schema schema
	source Source        // of the current statement
	table  []string      // the header above it
	entry  *entry        // the entry of a list above it, if any
	skip   bool          // below a header that is wrong: one problem is enough
	lines  map[place]int // of the tables and keys above it
}

// place is a table or a key, in an entry of a list or outside of any.
type place struct {
	entry *entry
	name  string
}

// parse reads the text of one file. In a file that is not TOML the statements
// before the error are still checked, so that all problems are reported at once.
func parse(keys schema, file, text string) document {
	r := reader{schema: keys, source: Source{File: file}, lines: map[place]int{}}
	text = strings.TrimPrefix(text, "\ufeff") // as the library does: some editors write one
	if problem, line := encoding(text); problem != "" {
		r.source.Line = line
		r.problem("", "", problem)
		return r.document
	}
	statements, deep := split(text)
	if deep > 0 {
		r.source.Line = deep
		r.problem("", "", "nested too deeply: no key needs more than three levels")
		return r.document
	}
	line, broken := check(text)
	explained := false
	for _, s := range statements {
		if s.line > line {
			break
		}
		r.source.Line = s.line
		before := len(r.problems)
		if err := r.statement(s); err != nil {
			if broken == nil { // the splitter and the library differ: nothing may get lost
				broken, line = err, s.line
			}
			break
		}
		// A statement at the error that is valid by itself repeats another one.
		explained = s.line == line && len(r.problems) > before
	}
	if broken != nil && !explained {
		r.source.Line = line
		r.problem("", "", "broken TOML: "+advice(keys, text, line, broken))
	}
	r.finish(broken != nil)
	return r.document
}

// encoding says why a file is not UTF-8 text, and in which line.
func encoding(text string) (problem string, line int) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return "the file is UTF-16: save it as UTF-8", 1
	}
	if strings.HasPrefix(text, "\ufeff") {
		return "a second byte order mark: remove it", 1
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return "a NUL byte: the file must be text in UTF-8", lineAt(text, i)
	}
	for i, c := range text {
		if c == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd") {
			return "not UTF-8: save the file as UTF-8", lineAt(text, i)
		}
	}
	return "", 0
}

// lineAt is the line of an offset.
func lineAt(text string, offset int) int {
	return 1 + strings.Count(text[:min(max(offset, 0), len(text))], "\n")
}

// check returns the error of a file that is not TOML, and its line.
func check(text string) (line int, err error) {
	err = toml.Unmarshal([]byte(text), new(map[string]any))
	if err == nil {
		return math.MaxInt, nil
	}
	if broken, ok := errors.AsType[toml.ParseError](err); ok {
		// Position.Line is one too many where a newline is the error.
		return lineAt(text, broken.Position.Start), errors.New(strings.TrimSuffix(broken.Message, "."))
	}
	return 1, err
}

// advice says what to write in a line that is not TOML, for mistakes that the
// library can only call unexpected characters, or else what the library says.
func advice(keys schema, text string, line int, broken error) string {
	// Each is looked for in the line without strings and comments.
	slips := []struct{ pattern, advice string }{
		{`(^|\s)//`, "a comment begins with #, not with //"},
		{`(^|\s);`, "a comment begins with #, not with ;"},
		{`^\s*\[\s*[\w.-]+\s*$`, "close the table's name with ]"},
		{`^\s*\[\[\s*[\w.-]+\s*\]?\s*$`, "close the table's name with ]]"},
		{`[“”„‘’]`, `write straight quotes, " or ', instead of curly ones`},
		{`^[\s{]*[\w.-]*("")?\s*:`, "write key = value instead of key: value"},
		{`=\s*((?i:yes|no|on|off)|True|TRUE|False|FALSE)\s*$`, "a boolean must be true or false"},
	}
	for range line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	text, _, _ = strings.Cut(text, "\n")
	text = regexp.MustCompile(`"(\\.|[^"\\])*"|'[^']*'`).ReplaceAllString(text, `""`)
	text, _, _ = strings.Cut(text, "#")
	for _, slip := range slips {
		if regexp.MustCompile(slip.pattern).MatchString(text) {
			return slip.advice
		}
	}
	if m := regexp.MustCompile(`^\s*([\w.-]+)\s+([\w-]+(\s+[\w-]+)*)\s*=`).FindStringSubmatch(text); m != nil {
		between := "_"
		if keys.lookup(m[1]) == isTable {
			between = "."
		}
		return "a key has no spaces: write " + m[1] + between + strings.Join(strings.Fields(m[2]), "_")
	}
	if regexp.MustCompile(`^(strings cannot contain newlines|unexpected EOF; expected ('"'|"'"))$`).MatchString(broken.Error()) {
		rest := strings.ReplaceAll(text, `""`, "") // without the strings that are closed
		if i := strings.IndexAny(rest, `"'`); i >= 0 {
			return "the string is not closed: add " + rest[i:i+1]
		}
	}
	_, value, _ := strings.Cut(text, "=")
	value = strings.TrimSpace(value)
	if d, err := time.ParseDuration(value); err == nil && d >= 0 && value != "0" {
		return "a duration is a string: write " + tomlString(value)
	}
	if regexp.MustCompile(`^[A-Za-z][\w./:*-]*$`).MatchString(value) && value != "true" && value != "false" {
		return "a string needs quotes: write " + quote(value)
	}
	return echo(broken.Error())
}

// statement parses one statement by itself and takes what it says.
func (r *reader) statement(s statement) error {
	path, raw, err := s.decode()
	if err != nil {
		return err
	}
	list := strings.HasPrefix(s.text, "[[")
	if s.header {
		r.header(path, list)
	} else {
		path = slices.Concat(r.table, path)
		r.value(path, raw, s.value)
	}
	if !r.skip {
		r.once(toml.Key(path).String(), s, list)
	}
	return nil
}

// once reports what is defined for the second time, with the first line.
func (r *reader) once(name string, s statement, list bool) {
	at := place{r.entry, name}
	if list {
		at.entry = nil
	}
	switch first := r.lines[at]; {
	case first > 0 && list:
		r.problem(brackets(name), "", fmt.Sprintf("written in another way in line %d: write %s for each entry", first, brackets(name)))
	case first > 0 && s.header:
		r.problem(brackets(name), "", fmt.Sprintf("already begun in line %d: merge the two tables", first))
	case first > 0:
		r.problem(name, s.value, fmt.Sprintf("already set in line %d: remove one of the two", first))
	case !list:
		r.lines[at] = s.line
	}
}

// decode returns the name and the value of a statement, or the name of a header.
func (s statement) decode() (path []string, raw any, err error) {
	var decoded map[string]any
	meta, err := toml.Decode(s.text, &decoded)
	if err != nil {
		return nil, nil, err
	}
	if len(meta.Keys()) == 0 {
		return nil, nil, errors.New("not a statement")
	}
	path = meta.Keys()[0]
	if s.header {
		return path, nil, nil
	}
	raw = decoded
	for _, name := range path {
		raw = raw.(map[string]any)[name]
	}
	return path, raw, nil
}

// header begins a table.
func (r *reader) header(path []string, list bool) {
	name := toml.Key(path).String()
	r.table, r.entry, r.skip = path, nil, false
	problem := ""
	switch kind := r.schema.lookup(name); {
	case kind == isKey:
		problem = "a table in place of a value"
	case kind == isUnknown:
		problem = r.schema.unknownTable(name)
	case list != (kind == isListOfTables):
		problem = "write " + brackets(name)
	case list:
		r.begin(name)
	}
	if r.skip = problem != ""; r.skip {
		header := "[" + name + "]"
		if list {
			header = "[" + header + "]"
		}
		r.problem(header, "", problem)
	}
}

// begin adds an entry to a list.
func (r *reader) begin(name string) {
	r.entry = &entry{list: name, source: r.source, fields: map[string]assignment{}}
	r.entries = append(r.entries, r.entry)
}

// value takes a key. An inline table is the same as dotted keys.
func (r *reader) value(path []string, raw any, source string) {
	if r.skip {
		return
	}
	name := toml.Key(path).String()
	switch r.schema.lookup(name) {
	case isKey:
		r.assign(name, raw, source)
	case isTable:
		r.inline(path, raw, source)
	case isListOfTables:
		r.inlineList(path, raw, source)
	default:
		message := "unknown key"
		if len(r.problems) <= maxProblems { // the search takes time
			message = r.schema.unknown(name)
		}
		r.problem(name, source, message)
	}
}

// assign checks a value and keeps it.
func (r *reader) assign(name string, raw any, source string) {
	k := r.schema.key(name)
	if k.listed() && (r.entry == nil || r.entry.list != k.table) {
		r.problem(name, source, "belongs in a list of tables: write "+brackets(k.table))
		return
	}
	set, problems := k.read(raw)
	reported := map[string]bool{}
	for _, problem := range problems {
		if reported[problem] {
			continue
		}
		r.problem(name, source, k.withRange(problem))
		reported[problem] = true
		if len(source) > maxShown { // the beginning of a long list once is enough: an item is quoted
			source = ""
		}
	}
	a := assignment{key: k, set: set, source: r.source}
	if k.listed() {
		r.entry.fields[name] = a
	} else {
		r.assignments = append(r.assignments, a)
	}
}

// inline takes a table that is written as a value.
func (r *reader) inline(path []string, raw any, source string) {
	if _, ok := raw.(map[string]any); !ok {
		name := toml.Key(path).String()
		r.problem(name, source, wrongType(raw, "a table")+": write "+brackets(name))
		return
	}
	for _, s := range elements(source) {
		below, raw, err := s.decode()
		if err != nil { // the splitter and the library differ: nothing may get lost
			r.problem("", "", "broken TOML: "+echo(err.Error()))
			continue
		}
		r.value(slices.Concat(path, below), raw, s.value)
	}
}

// inlineList takes a list of tables that is written as a value.
func (r *reader) inlineList(path []string, raw any, source string) {
	name := toml.Key(path).String()
	outer := r.entry
	defer func() { r.entry = outer }()
	items, ok := raw.([]any)
	if !ok {
		r.problem(name, source, wrongType(raw, "a list of tables")+": write "+brackets(name))
		return
	}
	texts := elements(source)
	for i, item := range items {
		if _, ok := item.(map[string]any); !ok || i >= len(texts) {
			r.problem(name, source, fmt.Sprintf("item %d %s: write %s", i+1, wrongType(item, "a table"), brackets(name)))
			continue
		}
		r.begin(name)
		r.inline(path, item, texts[i].text)
	}
}

// finish reports what the entries of the file lack, and what contradicts itself;
// in a broken file, the last one may go on below the error.
func (r *reader) finish(broken bool) {
	needs := map[string][]string{ruleList: {"on", "action"}, requireList: {"path"}}
	for _, e := range r.entries {
		if broken && e == r.entry {
			continue
		}
		for _, leaf := range needs[e.list] {
			name := e.list + "." + leaf
			if _, ok := e.fields[name]; !ok {
				r.problems = append(r.problems, Problem{
					Source: e.source, Key: brackets(e.list), Message: r.schema.key(name).withRange(leaf + " is missing"),
				})
			}
		}
		r.checkEquals(e)
	}
}

// checkEquals reports an equals that does not go with the path of its entry.
func (r *reader) checkEquals(e *entry) {
	var v values
	for _, a := range e.fields {
		a.set(&v)
	}
	if v.require.Path == "" || len(v.require.Equals) == 0 { // an invalid path is "" and reported already
		return
	}
	if problem := cannotEqual(v.require.Path); problem != "" {
		a := e.fields["require.equals"]
		r.problems = append(r.problems, Problem{Source: a.source, Key: a.key.name, Value: echo(a.key.show(&v)), Message: problem})
	}
}

// problem reports what is wrong with the current statement. After the first
// hundred and one, which are in the order of lines, problems are only counted.
func (r *reader) problem(name, value, message string) {
	p := Problem{Source: r.source, Message: message}
	if len(r.problems) <= maxProblems {
		p.Key, p.Value = words.Shorten(visible(name), maxShown), echo(value)
	}
	r.problems = append(r.problems, p)
}
