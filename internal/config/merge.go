// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// merged is what all documents say together. Entries are fields, the later
// over the earlier.
type merged struct {
	keys     map[string]assignment
	rules    []map[string]assignment
	requires []requirement
}

// requirement is one required path and what is said of it.
type requirement struct {
	path   string
	fields map[string]assignment
}

// merge puts the documents together, in the order in which they apply.
func merge(documents []document) merged {
	m := merged{keys: map[string]assignment{}, requires: []requirement{{
		path: readiness.IdentityPath, fields: map[string]assignment{},
	}}}
	for _, d := range documents {
		for _, a := range d.assignments {
			m.keys[a.key.name] = a
		}
		var rules []map[string]assignment
		for _, e := range d.entries {
			if fields := byName(e.fields); e.list == ruleList {
				rules = append(rules, fields)
			} else {
				m.require(fields)
			}
		}
		m.rules = slices.Concat(rules, m.rules)
	}
	return m
}

func byName(fields []assignment) map[string]assignment {
	found := make(map[string]assignment, len(fields))
	for _, a := range fields {
		found[a.key.name] = a
	}
	return found
}

// require adds what one entry says of its path.
func (m *merged) require(fields map[string]assignment) {
	var v values
	fields["require.path"].set(&v)
	path := v.require.Path
	i := slices.IndexFunc(m.requires, func(r requirement) bool { return r.path == path })
	if i < 0 {
		m.requires = append(m.requires, requirement{path, fields})
		return
	}
	for name, a := range fields {
		// The path stays where it was first written.
		if _, ok := m.requires[i].fields[name]; !ok || name != "require.path" {
			m.requires[i].fields[name] = a
		}
	}
}

// defaults are the values of the keys that nothing sets; those of [retry] are
// the preset's.
func defaults(preset policy.Policy) values {
	return values{
		mode:     modeAuto,
		tokenTTL: 6 * time.Hour,
		preset:   policy.PresetBoot,
		ready: readiness.Config{
			Policy:     preset,
			OnTimeout:  readiness.Fail,
			OnDisabled: readiness.Fail,
			OnNotEC2:   readiness.Skip,
			Metadata: readiness.Metadata{
				Include:           []string{"meta-data/**"},
				CollectDeadline:   10 * time.Second,
				Concurrency:       4,
				RequestsPerSecond: 160,
			},
		},
	}
}

// resolve makes values and settings of what is merged. It is called only when
// there is no problem.
func (m merged) resolve(keys schema) (values, []Setting) {
	var v values
	v.preset = policy.PresetBoot
	origin := "default"
	if a, ok := m.keys[presetKey]; ok {
		a.set(&v)
		origin = "preset " + v.preset
	}
	preset, _ := policy.Preset(v.preset)
	v = defaults(preset)
	var settings []Setting
	for _, k := range keys {
		switch a, ok := m.keys[k.name]; {
		case k.name == "retry.rule.on":
			settings = append(settings, m.resolveRules(keys, &v)...)
		case k.name == "require.path":
			settings = append(settings, m.resolveRequires(keys, &v)...)
		case k.listed():
		case ok:
			a.set(&v)
			settings = append(settings, a.setting(k.name, &v))
		default:
			s := Setting{Key: k.name, Value: k.show(&v), Origin: "default"}
			if k.fromPreset() {
				s.Origin = origin
			}
			settings = append(settings, s)
		}
	}
	return v, settings
}

// resolveRules puts the rules into the policy.
func (m merged) resolveRules(keys schema, v *values) (settings []Setting) {
	for i, fields := range m.rules {
		v.rule = policy.Rule{}
		settings = append(settings, resolveFields(keys, fmt.Sprintf("%s[%d]", ruleList, i+1), ruleList, fields, v)...)
		v.ready.Policy.Rules = append(v.ready.Policy.Rules, v.rule)
	}
	return settings
}

// resolveRequires lists the required paths, the identity document first. It
// comes after [retry], whose patience is theirs where they have no own.
func (m merged) resolveRequires(keys schema, v *values) (settings []Setting) {
	for i, r := range m.requires {
		v.require = readiness.Require{
			Path: r.path, MaxAttempts: v.ready.Policy.MaxAttempts, Deadline: v.ready.Policy.Deadline,
		}
		name := fmt.Sprintf("%s[%d]", requireList, i+1)
		if _, ok := r.fields["require.path"]; !ok {
			settings = append(settings, Setting{Key: name + ".path", Value: tomlString(r.path), Origin: "default"})
		}
		settings = append(settings, resolveFields(keys, name, requireList, r.fields, v)...)
		v.ready.Require = append(v.ready.Require, v.require)
	}
	return settings
}

// resolveFields sets the fields of one entry.
func resolveFields(keys schema, name, list string, fields map[string]assignment, v *values) (settings []Setting) {
	for _, k := range keys {
		if a, ok := fields[k.name]; ok && k.table() == list {
			a.set(v)
			settings = append(settings, a.setting(name+"."+k.leaf(), v))
		}
	}
	return settings
}

// setting describes an assignment that has been made.
func (a assignment) setting(key string, v *values) Setting {
	origin := a.source.String()
	if a.source.Line == 0 {
		origin = "environment " + a.source.File
	}
	return Setting{Key: key, Value: a.key.show(v), Source: a.source, Origin: origin}
}
