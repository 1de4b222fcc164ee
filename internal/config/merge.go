// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// merged is what all documents say together. Assignments are by the name of
// their key, a later one over an earlier one.
type merged struct {
	keys     map[string]assignment
	rules    []map[string]assignment
	requires []map[string]assignment
	required map[string]int // the index in requires, by path
}

// merge puts the documents together, in the order in which they apply.
func merge(documents []document) merged {
	m := merged{keys: map[string]assignment{}, requires: []map[string]assignment{{}}, required: map[string]int{paths.Identity: 0}}
	for _, d := range documents {
		for _, a := range d.assignments {
			m.keys[a.key.name] = a
		}
		var rules []map[string]assignment
		for _, e := range d.entries {
			if e.list == ruleList {
				rules = append(rules, e.fields)
			} else {
				m.require(e.fields)
			}
		}
		m.rules = slices.Concat(rules, m.rules)
	}
	return m
}

const requirePathKey = "require.path"

// require adds what one entry says of its path.
func (m *merged) require(fields map[string]assignment) {
	path := requiredPath(fields)
	i, ok := m.required[path]
	if !ok {
		m.required[path] = len(m.requires)
		m.requires = append(m.requires, maps.Clone(fields))
		return
	}
	// The path stays where it was first written.
	first, written := m.requires[i][requirePathKey]
	maps.Copy(m.requires[i], fields)
	if written {
		m.requires[i][requirePathKey] = first
	}
}

// requiredPath is the path of an entry. The identity document is required even
// if no entry has it.
func requiredPath(fields map[string]assignment) string {
	v := values{require: readiness.Require{Path: paths.Identity}}
	if a, ok := fields[requirePathKey]; ok {
		a.set(&v)
	}
	return v.require.Path
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
				CollectDeadline:   30 * time.Second,
				Concurrency:       4,
				RequestsPerSecond: 240,
			},
		},
		watch: Watch{
			Paths: []string{
				"meta-data/spot/instance-action", "meta-data/events/recommendations/rebalance",
				"meta-data/events/maintenance/scheduled", "meta-data/autoscaling/target-lifecycle-state",
			},
			Interval: 5 * time.Second,
		},
	}
}

// resolve makes values and settings of the merged documents. It must be called
// only if there is no problem.
func (m merged) resolve(keys schema) (values, []Setting) {
	v := values{preset: policy.PresetBoot}
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
			for i, fields := range m.rules {
				v.rule = policy.Rule{}
				settings = append(settings, resolveEntry(keys, ruleList, i, fields, &v)...)
				v.ready.Policy.Rules = append(v.ready.Policy.Rules, v.rule)
			}
		case k.name == requirePathKey: // after [retry], which has the defaults
			for i, fields := range m.requires {
				v.require = readiness.Require{
					Path: requiredPath(fields), MaxAttempts: v.ready.Policy.MaxAttempts, Deadline: v.ready.Policy.Deadline,
				}
				if _, ok := fields[requirePathKey]; !ok {
					settings = append(settings, Setting{Key: "require[1].path", Value: k.show(&v), Origin: "default"})
				}
				settings = append(settings, resolveEntry(keys, requireList, i, fields, &v)...)
				v.ready.Require = append(v.ready.Require, v.require)
			}
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

// resolveEntry sets the fields of one entry.
func resolveEntry(keys schema, list string, i int, fields map[string]assignment, v *values) (settings []Setting) {
	for _, k := range keys {
		if a, ok := fields[k.name]; ok && k.table == list {
			a.set(v)
			settings = append(settings, a.setting(fmt.Sprintf("%s[%d].%s", list, i+1, k.leaf), v))
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
