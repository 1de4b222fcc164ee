// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/policy"
)

// exampleFile is the documentation of every key; these tests keep it true.
const exampleFile = "../../imds-ready.toml.example"

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	// A key or a header that is commented out, and one in the example of a rule.
	commented = regexp.MustCompile(`(?m)^#(\[|[a-z_0-9]+ = )`)
	inRule    = regexp.MustCompile(`(?m)^#   (\[|[a-z_0-9]+ = )`)
)

// sameAsDefaults compares what the daemon does.
func sameAsDefaults(t *testing.T, c *Config) {
	t.Helper()
	want := tree{}.mustLoad(t)
	if !reflect.DeepEqual(c.Readiness, want.Readiness) {
		t.Errorf("got  %+v\nwant %+v", c.Readiness, want.Readiness)
	}
	if !reflect.DeepEqual(c.Watch, want.Watch) {
		t.Errorf("got  %+v\nwant %+v", c.Watch, want.Watch)
	}
	if !reflect.DeepEqual(c.IMDS, want.IMDS) {
		t.Errorf("the client's endpoints are %v, its token lifetime %v", c.IMDS.Endpoints, c.IMDS.TokenTTL)
	}
}

func TestExampleAsItIs(t *testing.T) {
	c := one(t, readExample(t))
	sameAsDefaults(t, c)
	for _, s := range c.Settings {
		if s.Origin != "default" {
			t.Errorf("%s is set by %s", s.Key, s.Origin)
		}
	}
}

// TestExampleUncommented checks that every default in the file is the one of
// the program, and that no key of the schema is left out.
func TestExampleUncommented(t *testing.T) {
	text := readExample(t)
	c := one(t, commented.ReplaceAllString(text, "$1"))
	sameAsDefaults(t, c)
	var got, want []string
	for _, s := range c.Settings {
		if s.Source.Line == 0 {
			t.Errorf("%s is not in the file", s.Key)
		}
		got = append(got, strings.ReplaceAll(s.Key, "[1]", ""))
	}
	for _, k := range newSchema() {
		if k.table != ruleList {
			want = append(want, k.name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys\n%v\nwant, in this order\n%v", got, want)
	}
	for _, line := range strings.Split(text, "\n") {
		if line != "" && line[0] != '#' && line[0] != '[' {
			t.Errorf("a line that is not commented out: %s", line)
		}
		if len(line) > 80 && !strings.HasPrefix(line, "#paths = ") { // a default cannot be wrapped
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// TestExampleRule checks the rule that the text gives as an example.
func TestExampleRule(t *testing.T) {
	c := one(t, inRule.ReplaceAllString(readExample(t), "$1"))
	want := []policy.Rule{{On: []string{"404", "5xx"}, Path: "meta-data/iam/**", Action: policy.Retry}}
	if got := c.Readiness.Policy.Rules; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, k := range newSchema() {
		if k.table == ruleList && setting(t, c, "retry.rule[1]."+k.leaf) == "not set" {
			t.Errorf("%s is not in the example", k.name)
		}
	}
}

// TestExampleRanges checks that the comment above each key has its range in
// the words of the program.
func TestExampleRanges(t *testing.T) {
	table, comment := "", ""
	seen := map[string]string{}
	for line := range strings.Lines(readExample(t)) {
		line = strings.TrimSpace(commented.ReplaceAllString(line, "$1"))
		switch leaf, _, isKey := strings.Cut(line, " = "); {
		case strings.HasPrefix(line, "#"):
			comment += " " + strings.TrimSpace(strings.TrimPrefix(line, "#"))
		case line == "":
			comment = ""
		case line[0] == '[':
			table = strings.Trim(line, "[]")
		case isKey:
			seen[table+"."+leaf] = comment
			comment = ""
		}
	}
	for _, k := range newSchema() {
		if k.table != ruleList && !strings.Contains(seen[k.name], k.valid) {
			t.Errorf("the comment above %s does not have its range, %s:\n%s", k.name, k.valid, seen[k.name])
		}
	}
	rules := readExample(t)
	for _, class := range policy.AttemptClasses() {
		if !strings.Contains(rules, string(class)) {
			t.Errorf("the class %s is not in the text", class)
		}
	}
	if want := newSchema().key("retry.rule.action").valid; !strings.Contains(rules, want) {
		t.Errorf("the actions %s are not in the text", want)
	}
}
