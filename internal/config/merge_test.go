// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// TestDropIns merges a main file and three drop-ins, of which one of /etc
// replaces one of /usr/lib.
func TestDropIns(t *testing.T) {
	c := tree{
		"/etc/imds-ready/imds-ready.toml": `
[retry]
deadline = "1m"
eager = false
[[retry.rule]]
on = ["404"]
action = "fail"
[[require]]
path = "meta-data/iam/info"
deadline = "2m"
[metadata]
include = ["meta-data/a", "meta-data/b"]
concurrency = 2
`,
		"/usr/lib/imds-ready/imds-ready.toml.d/10-vendor.toml": `
[retry]
deadline = "2m"
max_backoff = "9s"
[[retry.rule]]
on = ["405"]
action = "fail"
[[retry.rule]]
on = ["406"]
action = "fail"
[[require]]
path = "user-data"
`,
		"/usr/lib/imds-ready/imds-ready.toml.d/20-site.toml": "[retry]\nmax_attempts = 99\n",
		"/etc/imds-ready/imds-ready.toml.d/20-site.toml":     "[metadata]\ninclude = [\"meta-data/c\"]\n",
		"/etc/imds-ready/imds-ready.toml.d/30-last.toml": `
[[retry.rule]]
on = ["407"]
action = "retry"
[[require]]
path = "meta-data/iam/info"
max_attempts = 5
[[require]]
path = "dynamic/instance-identity/document"
max_attempts = 6
[retry]
deadline = "3m"
`,
		"/etc/imds-ready/imds-ready.toml.d/.hidden.toml": "broken",
		"/etc/imds-ready/imds-ready.toml.d/40.toml.bak":  "broken",
		"/etc/imds-ready/imds-ready.toml.d/README":       "broken",
	}.mustLoad(t)

	p := preset(t, "boot")
	p.Deadline, p.Eager, p.Backoff.Max = 3*time.Minute, false, 9*time.Second
	for _, status := range []string{"407", "405", "406", "404"} {
		action := policy.Fail
		if status == "407" {
			action = policy.Retry
		}
		p.Rules = append(p.Rules, policy.Rule{On: []string{status}, Action: action})
	}
	want := tree{}.mustLoad(t).Readiness
	want.Policy = p
	want.Require = []readiness.Require{
		{Path: readiness.IdentityPath, Deadline: 3 * time.Minute, MaxAttempts: 6},
		{Path: "meta-data/iam/info", Deadline: 2 * time.Minute, MaxAttempts: 5},
		{Path: "user-data", Deadline: 3 * time.Minute},
	}
	want.Metadata.Include = []string{"meta-data/c"}
	want.Metadata.Concurrency = 2
	if !reflect.DeepEqual(c.Readiness, want) {
		t.Errorf("got  %+v\nwant %+v", c.Readiness, want)
	}
	for key, want := range map[string]string{
		"retry.deadline":          `"3m" from 30-last.toml:12`,
		"retry.eager":             `false from imds-ready.toml:4`,
		"retry.max_backoff":       `"9s" from 10-vendor.toml:4`,
		"retry.max_attempts":      `0 from default`,
		"retry.rule[1].on":        `["407"] from 30-last.toml:3`,
		"retry.rule[2].action":    `"fail" from 10-vendor.toml:7`,
		"retry.rule[4].on":        `["404"] from imds-ready.toml:6`,
		"require[1].path":         `"dynamic/instance-identity/document" from 30-last.toml:9`,
		"require[1].max_attempts": `6 from 30-last.toml:10`,
		"require[1].deadline":     `not set`,
		"require[2].path":         `"meta-data/iam/info" from imds-ready.toml:9`,
		"require[2].deadline":     `"2m" from imds-ready.toml:10`,
		"require[2].max_attempts": `5 from 30-last.toml:7`,
		"require[3].path":         `"user-data" from 10-vendor.toml:12`,
		"metadata.include":        `["meta-data/c"] from 20-site.toml:2`,
		"metadata.concurrency":    `2 from imds-ready.toml:13`,
	} {
		if got := setting(t, c, key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	var names []string
	for _, f := range c.Files {
		names = append(names, f[strings.LastIndexByte(f, '/')+1:])
	}
	if want := []string{"imds-ready.toml", "10-vendor.toml", "20-site.toml", "30-last.toml"}; !reflect.DeepEqual(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

// TestNamedFile checks that --config leaves /etc and /usr/lib alone.
func TestNamedFile(t *testing.T) {
	c := tree{
		"config.toml":                                  "retry.deadline = '1m'\nretry.max_attempts = 1",
		"config.toml.d/1.toml":                         "retry.deadline = '2m'",
		"config.toml.d/2.toml":                         "",
		"/etc/imds-ready/imds-ready.toml":              "broken",
		"/etc/imds-ready/imds-ready.toml.d/1.toml":     "broken",
		"/usr/lib/imds-ready/imds-ready.toml.d/1.toml": "broken",
	}.mustLoad(t)
	if got, want := setting(t, c, "retry.deadline"), `"2m" from 1.toml:1`; got != want {
		t.Errorf("deadline is %s, want %s", got, want)
	}
	if got, want := setting(t, c, "retry.max_attempts"), `1 from config.toml:2`; got != want {
		t.Errorf("max_attempts is %s, want %s", got, want)
	}
	if len(c.Files) != 3 {
		t.Errorf("read %v, want three files", c.Files)
	}
}

// TestPreset checks that the last preset supplies only what no file sets,
// earlier files included.
func TestPreset(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files tree
		want  map[string]string
	}{
		{"none", tree{"config.toml": ""}, map[string]string{
			"retry.preset": `"boot" from default`, "retry.deadline": `"5m" from default`,
		}},
		{"boot, written", tree{"config.toml": "retry.preset = 'boot'"}, map[string]string{
			"retry.preset": `"boot" from config.toml:1`, "retry.deadline": `"5m" from preset boot`,
		}},
		{"sdk", tree{"config.toml": "retry.preset = 'sdk'"}, map[string]string{
			"retry.max_attempts": `4 from preset sdk`, "retry.deadline": `"30s" from preset sdk`,
			"retry.initial_backoff": `"1s" from preset sdk`, "retry.multiplier": `2.0 from preset sdk`,
			"retry.max_backoff": `"20s" from preset sdk`, "retry.jitter": `"full" from preset sdk`,
			"retry.connect_timeout": `"1s" from preset sdk`, "retry.read_timeout": `"1s" from preset sdk`,
			"retry.retry_connect_timeouts": `false from preset sdk`, "retry.eager": `false from preset sdk`,
		}},
		{"sdk after a key", tree{"config.toml": "retry.deadline = '1m'", "config.toml.d/1.toml": "retry.preset = 'sdk'"}, map[string]string{
			"retry.deadline": `"1m" from config.toml:1`, "retry.max_attempts": `4 from preset sdk`,
		}},
		{"boot after sdk", tree{"config.toml": "retry.preset = 'sdk'", "config.toml.d/1.toml": "retry.preset = 'boot'\nretry.eager = false"}, map[string]string{
			"retry.deadline": `"5m" from preset boot`, "retry.eager": `false from 1.toml:2`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.files.mustLoad(t)
			for key, want := range tt.want {
				if got := setting(t, c, key); got != want {
					t.Errorf("%s is %s, want %s", key, got, want)
				}
			}
		})
	}
	sdk := one(t, "[retry]\npreset = 'sdk'\n[[retry.rule]]\non=['404']\naction='retry'").Readiness.Policy
	want := preset(t, "sdk")
	want.Rules = []policy.Rule{{On: []string{"404"}, Action: policy.Retry}}
	if !reflect.DeepEqual(sdk, want) {
		t.Errorf("a rule and the preset's table: got %+v, want %+v", sdk, want)
	}
}

// TestRequireInOneFile checks that a path that stands twice is one path.
func TestRequireInOneFile(t *testing.T) {
	c := one(t, `
[[require]]
path = "user-data"
deadline = "1s"
[[require]]
path = "meta-data/ami-id"
[[require]]
path = "user-data"
deadline = "2s"
max_attempts = 3
`)
	want := []readiness.Require{
		{Path: readiness.IdentityPath, Deadline: 5 * time.Minute},
		{Path: "user-data", Deadline: 2 * time.Second, MaxAttempts: 3},
		{Path: "meta-data/ami-id", Deadline: 5 * time.Minute},
	}
	if !reflect.DeepEqual(c.Readiness.Require, want) {
		t.Errorf("got %+v, want %+v", c.Readiness.Require, want)
	}
}

// TestRequireEquals checks that equals of a later file replaces that of an earlier
// one, and that an empty string removes it.
func TestRequireEquals(t *testing.T) {
	for later, want := range map[string][]string{
		`max_attempts = 1`: {"web", "db"},
		`equals = "cache"`: {"cache"},
		`equals = ["a"]`:   {"a"},
		`equals = ""`:      nil,
	} {
		c := tree{
			"config.toml":          "[[require]]\npath = 'meta-data/tags/instance/Role'\nequals = ['web', 'db']",
			"config.toml.d/1.toml": "[[require]]\npath = 'meta-data/tags/instance/Role'\n" + later,
		}.mustLoad(t)
		if got := c.Readiness.Require; len(got) != 2 || !reflect.DeepEqual(got[1].Equals, want) {
			t.Errorf("%s: got %+v, want %q", later, got, want)
		}
	}
	c := one(t, "[[require]]\npath = 'meta-data/mac'\nequals = ['a']")
	if got, want := setting(t, c, "require[2].equals"), `"a" from config.toml:3`; got != want {
		t.Errorf("equals is %s, want %s", got, want)
	}
}
