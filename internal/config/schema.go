// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// The lists of tables. Every other table stands once in a file.
const (
	ruleList    = "retry.rule"
	requireList = "require"
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
	// The entry of a list that is being put together.
	rule    policy.Rule
	require readiness.Require
}

// key is one row of the schema.
type key struct {
	// name is dotted: "retry.max_backoff".
	name string
	// legal is the range, in the words of a problem; "": the problem has it.
	legal string
	// read checks a value of a file and returns how to set it, or what is
	// wrong.
	read func(raw any) (set func(*values), problems []string)
	// show prints the value as TOML.
	show func(*values) string
}

// field makes a row of what a value may be and where it belongs.
func field[T any](name string, k kind[T], at func(*values) *T) key {
	return key{
		name:  name,
		legal: k.legal,
		read: func(raw any) (func(*values), []string) {
			value, problems := k.read(raw)
			return func(v *values) { *at(v) = value }, problems
		},
		show: func(v *values) string { return k.show(*at(v)) },
	}
}

// table is the name of the table that the key is in.
func (k key) table() string {
	table, _ := cut(k.name)
	return table
}

// leaf is the last part of the name.
func (k key) leaf() string {
	_, leaf := cut(k.name)
	return leaf
}

// listed tells whether the key is a field of a list's entries.
func (k key) listed() bool { return isList(k.table()) }

func isList(table string) bool { return table == ruleList || table == requireList }

// fromPreset tells whether a preset gives the key its value.
func (k key) fromPreset() bool { return k.table() == "retry" && k.name != presetKey }

const presetKey = "retry.preset"

// schema is every key there is, in the order of the documentation.
type schema []key

// newSchema makes the one table of keys: their names, kinds, ranges and
// places. Validation, the list of settings, "did you mean" and the test of
// imds-ready.toml.example work from it.
func newSchema() schema {
	return slices.Concat(endpointKeys(), retryKeys(), ruleKeys(), requireKeys(), readyKeys(), metadataKeys(), outputKeys())
}

func endpointKeys() schema {
	return schema{
		field("endpoint.mode", enumeration(modeAuto, modeIPv4, modeIPv6), func(v *values) *string { return &v.mode }),
		field(urlKey, text(legalURL, endpointURL), func(v *values) *string { return &v.url }),
		field("endpoint.interface", text(legalInterface, interfaceName), func(v *values) *string { return &v.iface }),
		field("endpoint.token_ttl", wholeSeconds(duration(time.Second, 6*time.Hour, false)), func(v *values) *time.Duration { return &v.tokenTTL }),
	}
}

const (
	modeKey = "endpoint.mode"
	urlKey  = "endpoint.url"

	modeAuto = "auto"
	modeIPv4 = "ipv4"
	modeIPv6 = "ipv6"
)

// The ranges that several keys share.
const maxAttempts = 1_000_000

func pause() kind[time.Duration] { return duration(time.Millisecond, time.Hour, false) }

func deadline() kind[time.Duration] { return duration(time.Millisecond, 168*time.Hour, true) }

func attempts() kind[int] { return integer(0, maxAttempts, "no limit") }

func retryKeys() schema {
	return schema{
		field(presetKey, enumeration(policy.PresetNames()...), func(v *values) *string { return &v.preset }),
		field("retry.max_attempts", attempts(), func(v *values) *int { return &v.ready.Policy.MaxAttempts }),
		field("retry.deadline", deadline(), func(v *values) *time.Duration { return &v.ready.Policy.Deadline }),
		field("retry.initial_backoff", pause(), func(v *values) *time.Duration { return &v.ready.Policy.Backoff.Initial }),
		field("retry.multiplier", number(1, 100), func(v *values) *float64 { return &v.ready.Policy.Backoff.Multiplier }),
		field("retry.max_backoff", pause(), func(v *values) *time.Duration { return &v.ready.Policy.Backoff.Max }),
		field("retry.jitter", enumeration(policy.JitterFull, policy.JitterEqual, policy.JitterNone), func(v *values) *policy.Jitter { return &v.ready.Policy.Backoff.Jitter }),
		field("retry.connect_timeout", pause(), func(v *values) *time.Duration { return &v.ready.Policy.ConnectTimeout }),
		field("retry.read_timeout", pause(), func(v *values) *time.Duration { return &v.ready.Policy.ReadTimeout }),
		field("retry.retry_connect_timeouts", boolean(), func(v *values) *bool { return &v.ready.Policy.RetryConnectTimeouts }),
		field("retry.eager", boolean(), func(v *values) *bool { return &v.ready.Policy.Eager }),
	}
}

func ruleKeys() schema {
	checkOn := func(on string) string {
		if err := policy.CheckOn(shorten(on)); err != nil {
			return err.Error()
		}
		return ""
	}
	return schema{
		field("retry.rule.on", list("an empty list matches nothing: name a class", checkOn), func(v *values) *[]string { return &v.rule.On }),
		field("retry.rule.path", text("", ruleGlob), func(v *values) *string { return &v.rule.Path }),
		field("retry.rule.action", enumeration(policy.Retry, policy.Wait, policy.Fail, policy.Absent), func(v *values) *policy.Action { return &v.rule.Action }),
	}
}

func requireKeys() schema {
	legal := "an exact path below meta-data/ or dynamic/, or user-data; with a final slash, a listing"
	return schema{
		field("require.path", text(legal, requirePath), func(v *values) *string { return &v.require.Path }),
		field("require.deadline", deadline(), func(v *values) *time.Duration { return &v.require.Deadline }),
		field("require.max_attempts", attempts(), func(v *values) *int { return &v.require.MaxAttempts }),
	}
}

func readyKeys() schema {
	outcome := func() kind[readiness.Choice] { return enumeration(readiness.Fail, readiness.Continue) }
	notEC2 := enumeration(readiness.Skip, readiness.Fail, readiness.Try)
	return schema{
		field("ready.on_timeout", outcome(), func(v *values) *readiness.Choice { return &v.ready.OnTimeout }),
		field("ready.on_disabled", outcome(), func(v *values) *readiness.Choice { return &v.ready.OnDisabled }),
		field("ready.on_not_ec2", notEC2, func(v *values) *readiness.Choice { return &v.ready.OnNotEC2 }),
	}
}

func metadataKeys() schema {
	return schema{
		field("metadata.include", list("", includeGlob), func(v *values) *[]string { return &v.ready.Metadata.Include }),
		field("metadata.exclude", list("", glob), func(v *values) *[]string { return &v.ready.Metadata.Exclude }),
		field("metadata.collect_deadline", deadline(), func(v *values) *time.Duration { return &v.ready.Metadata.CollectDeadline }),
		field("metadata.user_data", boolean(), func(v *values) *bool { return &v.ready.Metadata.UserData }),
		field("metadata.signatures", boolean(), func(v *values) *bool { return &v.ready.Metadata.Signatures }),
		field("metadata.concurrency", integer(1, 16, ""), func(v *values) *int { return &v.ready.Metadata.Concurrency }),
		field("metadata.requests_per_second", integer(1, 200, ""), func(v *values) *int { return &v.ready.Metadata.RequestsPerSecond }),
	}
}

func outputKeys() schema {
	return schema{
		field("output.textfile", text(legalTextfile, textfile), func(v *values) *string { return &v.ready.Textfile }),
	}
}
