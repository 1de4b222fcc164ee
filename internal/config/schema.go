// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// The lists of tables. Every other table stands once in a file.
const (
	ruleList    = "retry.rule"
	requireList = "require"
)

// Keys and values that have a meaning elsewhere in the package.
const (
	modeKey   = "endpoint.mode"
	urlKey    = "endpoint.url"
	presetKey = "retry.preset"

	modeAuto = "auto"
	modeIPv4 = "ipv4"
	modeIPv6 = "ipv6"
)

// values is where the keys of the schema put what they read.
type values struct {
	mode     string
	url      string
	iface    string
	tokenTTL time.Duration
	preset   string
	// ready.Policy is [retry] without the preset's table.
	ready readiness.Config
	watch Watch
	// The entry of a list that is being put together.
	rule    policy.Rule
	require readiness.Require
}

// key is one row of the schema.
type key struct {
	// name is dotted, "retry.max_backoff", and consists of the other two.
	name, table, leaf string
	// valid is that of its kind.
	valid string
	// read checks a value of a file and returns how to set it, or what is
	// wrong.
	read func(raw any) (set func(*values), problems []string)
	// show prints the value as TOML.
	show func(*values) string
}

// field makes a row from a kind and the place of the value.
func field[T any](name string, k kind[T], at func(*values) *T) key {
	table, leaf := cut(name)
	return key{
		name: name, table: table, leaf: leaf, valid: k.valid,
		read: func(raw any) (func(*values), []string) {
			value, problems := k.read(raw)
			return func(v *values) { *at(v) = value }, problems
		},
		show: func(v *values) string { return k.show(*at(v)) },
	}
}

// withRange adds the range to what is wrong with a value, unless the problem is
// a question already: did you mean ...?
func (k key) withRange(problem string) string {
	if k.valid == "" || strings.HasSuffix(problem, "?") {
		return problem
	}
	return problem + ", valid: " + k.valid
}

// listed reports whether the key is a field of a list's entries.
func (k key) listed() bool { return isList(k.table) }

func isList(table string) bool { return table == ruleList || table == requireList }

// fromPreset reports whether a preset gives the key its value.
func (k key) fromPreset() bool { return k.table == "retry" && k.name != presetKey }

// schema has all keys, in the order of the documentation.
type schema []key

// newSchema makes the one table of keys: their names, kinds, ranges and
// places.
func newSchema() schema {
	pause := duration(time.Millisecond, time.Hour, false)
	deadline := duration(time.Millisecond, 168*time.Hour, true)
	attempts := integer(0, 1_000_000, "no limit")
	outcome := enumeration(readiness.Fail, readiness.Continue)
	return schema{
		field(modeKey, enumeration(modeAuto, modeIPv4, modeIPv6), func(v *values) *string { return &v.mode }),
		field(urlKey, text(validURL, endpointURL), func(v *values) *string { return &v.url }),
		field("endpoint.interface", text(validInterface, interfaceName), func(v *values) *string { return &v.iface }),
		field("endpoint.token_ttl", wholeSeconds(duration(time.Second, 6*time.Hour, false)), func(v *values) *time.Duration { return &v.tokenTTL }),

		field(presetKey, enumeration(policy.PresetNames()...), func(v *values) *string { return &v.preset }),
		field("retry.max_attempts", attempts, func(v *values) *int { return &v.ready.Policy.MaxAttempts }),
		field("retry.deadline", deadline, func(v *values) *time.Duration { return &v.ready.Policy.Deadline }),
		field("retry.initial_backoff", pause, func(v *values) *time.Duration { return &v.ready.Policy.Backoff.Initial }),
		field("retry.multiplier", number(1, 100), func(v *values) *float64 { return &v.ready.Policy.Backoff.Multiplier }),
		field("retry.max_backoff", pause, func(v *values) *time.Duration { return &v.ready.Policy.Backoff.Max }),
		field("retry.jitter", enumeration(policy.Jitters()...), func(v *values) *policy.Jitter { return &v.ready.Policy.Backoff.Jitter }),
		field("retry.connect_timeout", pause, func(v *values) *time.Duration { return &v.ready.Policy.ConnectTimeout }),
		field("retry.read_timeout", pause, func(v *values) *time.Duration { return &v.ready.Policy.ReadTimeout }),
		field("retry.retry_connect_timeouts", boolean(), func(v *values) *bool { return &v.ready.Policy.RetryConnectTimeouts }),
		field("retry.eager", boolean(), func(v *values) *bool { return &v.ready.Policy.Eager }),

		field("retry.rule.on", list("an empty list matches nothing: name a class", ruleClass), func(v *values) *[]string { return &v.rule.On }),
		field("retry.rule.path", text("", ruleGlob), func(v *values) *string { return &v.rule.Path }),
		field("retry.rule.action", enumeration(policy.Actions()...), func(v *values) *policy.Action { return &v.rule.Action }),

		field("require.path", text(validPath, requirePath), func(v *values) *string { return &v.require.Path }),
		field("require.equals", alternatives(), func(v *values) *[]string { return &v.require.Equals }),
		field("require.deadline", deadline, func(v *values) *time.Duration { return &v.require.Deadline }),
		field("require.max_attempts", attempts, func(v *values) *int { return &v.require.MaxAttempts }),

		field("ready.on_timeout", outcome, func(v *values) *readiness.Choice { return &v.ready.OnTimeout }),
		field("ready.on_disabled", outcome, func(v *values) *readiness.Choice { return &v.ready.OnDisabled }),
		field("ready.on_not_ec2", enumeration(readiness.Skip, readiness.Fail, readiness.Try), func(v *values) *readiness.Choice { return &v.ready.OnNotEC2 }),

		field("metadata.include", list("", includeGlob), func(v *values) *[]string { return &v.ready.Metadata.Include }),
		field("metadata.exclude", list("", glob), func(v *values) *[]string { return &v.ready.Metadata.Exclude }),
		field("metadata.collect_deadline", deadline, func(v *values) *time.Duration { return &v.ready.Metadata.CollectDeadline }),
		field("metadata.user_data", boolean(), func(v *values) *bool { return &v.ready.Metadata.UserData }),
		field("metadata.signatures", boolean(), func(v *values) *bool { return &v.ready.Metadata.Signatures }),
		field("metadata.concurrency", integer(1, 16, ""), func(v *values) *int { return &v.ready.Metadata.Concurrency }),
		field("metadata.requests_per_second", integer(1, 280, ""), func(v *values) *int { return &v.ready.Metadata.RequestsPerSecond }),

		field("output.textfile", text(validTextfile, textfile), func(v *values) *string { return &v.ready.Textfile }),

		field("watch.paths", pathList(), func(v *values) *[]string { return &v.watch.Paths }),
		field("watch.interval", duration(time.Second, time.Hour, false), func(v *values) *time.Duration { return &v.watch.Interval }),
	}
}

// meaning is what a dotted name stands for in the schema.
type meaning int

const (
	isUnknown meaning = iota
	isKey
	isTable
	isListOfTables
)

func (s schema) lookup(name string) meaning {
	for _, k := range s {
		switch {
		case k.name == name:
			return isKey
		case k.table == name && k.listed():
			return isListOfTables
		case k.table == name:
			return isTable
		}
	}
	return isUnknown
}

// key returns the row of a name that is in the schema.
func (s schema) key(name string) key {
	return s[slices.IndexFunc(s, func(k key) bool { return k.name == name })]
}

// tables lists the tables in the order of the documentation.
func (s schema) tables() []string {
	var names []string
	for _, k := range s {
		names = append(names, k.table)
	}
	return slices.Compact(names)
}

// headers lists the tables as they are written.
func (s schema) headers() string {
	tables := s.tables()
	for i, name := range tables {
		tables[i] = brackets(name)
	}
	return either(tables)
}

// unknown says what is wrong with a key that is not in the schema: the likely
// one instead, or else the keys of its table.
func (s schema) unknown(name string) string {
	candidates := s.tables()
	table, _ := cut(name)
	var leaves []string
	for _, k := range s {
		candidates = append(candidates, k.name)
		if k.table == table {
			leaves = append(leaves, k.leaf)
		}
	}
	switch meant := likely(name, candidates); {
	case meant != "" && s.lookup(meant) != isKey:
		return "unknown key, did you mean " + brackets(meant) + "?"
	case meant != "":
		return "unknown key, did you mean " + meant + "?"
	case leaves == nil:
		return "unknown key, valid tables: " + s.headers()
	}
	return "unknown key, valid in " + brackets(table) + ": " + either(leaves)
}

// unknownTable is the same for a header.
func (s schema) unknownTable(name string) string {
	if meant := likely(name, s.tables()); meant != "" {
		return "unknown table, did you mean " + brackets(meant) + "?"
	}
	return "unknown table, valid: " + s.headers()
}

// likely returns the name that was probably meant, or "" if none is close. One of
// the same table comes first, then the right leaf in the wrong table.
func likely(name string, candidates []string) string {
	if len(name) > 64 { // too long to be a misspelling
		return ""
	}
	name = strings.ToLower(name)
	table, leaf := cut(name)
	best, found := 2+len(leaf)/5, ""
	for _, candidate := range candidates {
		candidateTable, candidateLeaf := cut(candidate)
		d := words.Distance(leaf, candidateLeaf)
		if candidateTable != table {
			d = min(d+1, words.Distance(name, candidate))
		}
		if d < best || d == best && found != "" && candidateTable == table {
			best, found = d, candidate
		}
	}
	return found
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
