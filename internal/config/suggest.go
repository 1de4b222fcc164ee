// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
)

// unknown says what is wrong with a key that is not in the schema: the likely
// one instead, else what its table has.
func (s schema) unknown(name string) string {
	candidates := s.tables()
	table, _ := cut(name)
	var leaves []string
	for _, k := range s {
		candidates = append(candidates, k.name)
		if k.table() == table {
			leaves = append(leaves, k.leaf())
		}
	}
	switch meant := likely(name, candidates); {
	case meant != "" && s.place(meant) != placeKey:
		return "unknown key, did you mean " + brackets(meant) + "?"
	case meant != "":
		return "unknown key, did you mean " + meant + "?"
	case leaves == nil:
		return "unknown key, legal tables: " + s.headers()
	}
	return "unknown key, legal in " + brackets(table) + ": " + strings.Join(leaves, ", ")
}

// unknownTable is the same for a header.
func (s schema) unknownTable(name string) string {
	if meant := likely(name, s.tables()); meant != "" {
		return "unknown table, did you mean " + brackets(meant) + "?"
	}
	return "unknown table, legal: " + s.headers()
}

// likely returns the name that was probably meant; "": none is close. One of
// the same table comes first, then the right leaf in the wrong table.
func likely(name string, candidates []string) string {
	name = strings.ToLower(name)
	table, leaf := cut(name)
	best, found := 2+len(leaf)/5, ""
	for _, candidate := range candidates {
		candidateTable, candidateLeaf := cut(candidate)
		d := distance(leaf, candidateLeaf)
		if candidateTable != table {
			d = min(d+1, distance(name, candidate))
		}
		if d < best {
			best, found = d, candidate
		}
	}
	return found
}

// tables lists the tables there are, in the order of the documentation.
func (s schema) tables() []string {
	var names []string
	for _, k := range s {
		names = append(names, k.table())
	}
	return slices.Compact(names)
}

// headers lists them as they are written.
func (s schema) headers() string {
	var written []string
	for _, name := range s.tables() {
		written = append(written, brackets(name))
	}
	return strings.Join(written, ", ")
}

// brackets is how the header of a table is written.
func brackets(table string) string {
	if isList(table) {
		return "[[" + table + "]]"
	}
	return "[" + table + "]"
}

// cut splits a dotted name at its last dot.
func cut(name string) (table, leaf string) {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)], name[i+1:]
}

// distance is Levenshtein's: how many bytes to insert, delete or replace. It
// does not look at names that are too long to be a misspelling.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
