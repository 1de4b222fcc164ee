// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"

	"github.com/BurntSushi/toml"
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
	fields []assignment
	seen   []string // the keys that it has, the wrong ones too
}

// document is what one file says.
type document struct {
	assignments []assignment
	entries     []*entry
	problems    Problems
}

// reader turns the statements of one file into a document.
type reader struct {
	document
	schema schema
	source Source   // of the statement at hand
	table  []string // the header above it
	entry  *entry   // the list's entry above it; nil: none
	skip   bool     // below a header that is wrong: one problem is enough
}

// header begins a table.
func (r *reader) header(path []string, list bool) {
	name := toml.Key(path).String()
	r.table, r.entry, r.skip = path, nil, false
	switch kind := r.schema.place(name); {
	case kind == placeKey:
		r.headerProblem(name, list, "a table where a value belongs")
	case kind == placeNone:
		r.headerProblem(name, list, r.schema.unknownTable(name))
	case list != (kind == placeList):
		r.headerProblem(name, list, "write "+brackets(name))
	case list:
		r.begin(name)
	}
}

func (r *reader) headerProblem(name string, list bool, message string) {
	r.skip = true
	header := "[" + name + "]"
	if list {
		header = "[" + header + "]"
	}
	r.problem(header, "", message)
}

// begin adds an entry to a list.
func (r *reader) begin(name string) {
	r.entry = &entry{list: name, source: r.source}
	r.entries = append(r.entries, r.entry)
}

// value takes a key, inline tables included: they are the same as dotted keys.
func (r *reader) value(path []string, raw any) {
	if r.skip {
		return
	}
	name := toml.Key(path).String()
	switch r.schema.place(name) {
	case placeKey:
		r.assign(name, raw)
	case placeTable:
		r.inline(path, raw)
	case placeList:
		r.inlineList(path, raw)
	default:
		r.problem(name, tomlValue(raw), r.schema.unknown(name))
	}
}

// assign checks a value and keeps it.
func (r *reader) assign(name string, raw any) {
	k := r.schema.key(name)
	if k.listed() {
		if r.entry == nil || r.entry.list != k.table() {
			r.problem(name, tomlValue(raw), "belongs in a list of tables: write "+brackets(k.table()))
			return
		}
		r.entry.seen = append(r.entry.seen, k.leaf())
	}
	set, problems := k.read(raw)
	for _, problem := range problems {
		if k.legal != "" {
			problem += ", legal: " + k.legal
		}
		r.problem(name, tomlValue(raw), problem)
	}
	a := assignment{key: k, set: set, source: r.source}
	switch {
	case len(problems) > 0:
	case k.listed():
		r.entry.fields = append(r.entry.fields, a)
	default:
		r.assignments = append(r.assignments, a)
	}
}

// inline takes a table that is written as a value.
func (r *reader) inline(path []string, raw any) {
	table, ok := raw.(map[string]any)
	if !ok {
		name := toml.Key(path).String()
		r.problem(name, tomlValue(raw), wrongType(raw, "a table")[0]+": write "+brackets(name))
		return
	}
	for _, name := range sortedKeys(table) {
		r.value(append(slices.Clone(path), name), table[name])
	}
}

// inlineList takes a list of tables that is written as a value.
func (r *reader) inlineList(path []string, raw any) {
	name := toml.Key(path).String()
	outer := r.entry
	defer func() { r.entry = outer }()
	items, ok := raw.([]any)
	if !ok {
		r.problem(name, tomlValue(raw), wrongType(raw, "a list of tables")[0]+": write "+brackets(name))
		return
	}
	for _, item := range items {
		table, ok := item.(map[string]any)
		if !ok {
			r.problem(name, tomlValue(raw), wrongType(item, "a table")[0]+": write "+brackets(name))
			continue
		}
		r.begin(name)
		r.inline(path, table)
	}
}

// finish reports what the entries of the file lack; in a broken file, the one
// at hand may go on below the error.
func (r *reader) finish(broken bool) {
	needs := map[string][]string{ruleList: {"on", "action"}, requireList: {"path"}}
	for _, e := range r.entries {
		if broken && e == r.entry {
			continue
		}
		for _, leaf := range needs[e.list] {
			if !slices.Contains(e.seen, leaf) {
				r.source = e.source
				message := "has no " + leaf
				if legal := r.schema.key(e.list + "." + leaf).legal; legal != "" {
					message += ", legal: " + legal
				}
				r.problem(brackets(e.list), "", message)
			}
		}
	}
}

func (r *reader) problem(name, value, message string) {
	r.problems = append(r.problems, Problem{Source: r.source, Key: shorten(name), Value: shorten(value), Message: message})
}

// place is what a dotted name stands for in the schema.
type place int

const (
	placeNone place = iota
	placeKey
	placeTable
	placeList
)

func (s schema) place(name string) place {
	for _, k := range s {
		switch {
		case k.name == name:
			return placeKey
		case k.table() == name && k.listed():
			return placeList
		case k.table() == name:
			return placeTable
		}
	}
	return placeNone
}

// key returns the row of a name that is in the schema.
func (s schema) key(name string) key {
	return s[slices.IndexFunc(s, func(k key) bool { return k.name == name })]
}
