// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
)

const configuration = "imds-ready.toml.5"

// key is one key of imds-ready.toml.example, which a test of internal/config
// compares with the program.
type key struct{ table, name, value, valid string }

var (
	exampleTable = regexp.MustCompile(`^#? *(\[+[a-z.]+\]+)$`)
	exampleKey   = regexp.MustCompile(`^# *([a-z_0-9]+) = (.*)$`)
)

func exampleKeys(t *testing.T) []key {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "imds-ready.toml.example"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []key
	table, comment := "", ""
	for text := range strings.Lines(string(data)) {
		text = strings.TrimSpace(text)
		if m := exampleTable.FindStringSubmatch(text); m != nil {
			table = m[1]
		} else if m := exampleKey.FindStringSubmatch(text); m != nil {
			keys = append(keys, key{table, m[1], m[2], validRange(comment)})
			comment = ""
		} else if text == "" {
			comment = ""
		} else {
			comment += " " + strings.TrimSpace(strings.TrimPrefix(text, "#"))
		}
	}
	return keys
}

// validRange returns the range in a comment, or "" if the comment has no range.
func validRange(comment string) string {
	_, after, _ := strings.Cut(comment, "Valid: ")
	if i := strings.Index(after, ". "); i >= 0 {
		after = after[:i]
	}
	return strings.TrimSuffix(after, ".")
}

// TestKeys compares tables, keys, defaults and ranges.
func TestKeys(t *testing.T) {
	p := readPage(t, configuration)
	shown := map[string][]string{}
	for _, l := range p.in("KEYS", "*") {
		if head, ok := strings.CutPrefix(l.text, ".It Va "); ok {
			shown[l.sub] = append(shown[l.sub], plain(head))
		}
	}
	known := map[string][]string{}
	for _, k := range exampleKeys(t) {
		head := k.name + " = " + k.value
		if k.table == "[[retry.rule]]" {
			head = k.name // the defaults contain no rules
		}
		known[k.table] = append(known[k.table], head)
		if text := p.in("KEYS", k.table).item("Va", head); k.valid != "" && !strings.Contains(text, "Valid: "+k.valid) {
			t.Errorf("%s %s: the page does not say %q:\n%s", k.table, k.name, k.valid, text)
		}
	}
	if len(known) != 8 {
		t.Errorf("%d tables in the example", len(known))
	}
	for table := range known {
		if !slices.Equal(shown[table], known[table]) {
			t.Errorf("%s: the page has\n%q\nthe example\n%q", table, shown[table], known[table])
		}
		delete(shown, table)
	}
	for table := range shown {
		t.Errorf("%s is in the page and not in the example", table)
	}
}

// TestClasses compares the classes that an attempt can have, and the others.
func TestClasses(t *testing.T) {
	p := readPage(t, configuration).in("CLASSES", "*")
	all := values(constants(t, "policy", `^[A-Z]`))
	all = slices.DeleteFunc(all, func(s string) bool { return !isClass(t, s) })
	same(t, "classes", p.items("Cm"), all)

	var attempts, rows []string
	for _, c := range policy.AttemptClasses() {
		attempts = append(attempts, string(c))
	}
	for _, row := range p.rows("Cm") {
		name, _, _ := strings.Cut(row[0], " ")
		rows = append(rows, name)
	}
	same(t, "classes of the table", rows, append(attempts, "401", "404", "408", "429", "4xx", "5xx"))
	_, final, _ := strings.Cut(p.text(), "These are never the class of an attempt")
	for _, c := range all {
		if strings.Contains(final, " "+c+" ") == slices.Contains(attempts, c) {
			t.Errorf("%s is in the wrong list", c)
		}
	}
}

// isClass reports whether a constant of package policy is a class.
func isClass(t *testing.T, word string) bool {
	t.Helper()
	err := policy.CheckOn(word)
	return err == nil || strings.Contains(err.Error(), "never the class of an attempt")
}

// TestTableOfPresets compares every row of the table with the presets.
func TestTableOfPresets(t *testing.T) {
	boot, _ := policy.Preset(policy.PresetBoot)
	sdk, _ := policy.Preset(policy.PresetSDK)
	toggled := sdk
	toggled.RetryConnectTimeouts = true
	for _, row := range readPage(t, configuration).in("CLASSES", "*").rows("Cm") {
		name, when, _ := strings.Cut(row[0], " ")
		for _, f := range failures(t, policy.Class(name), when) {
			for i, p := range []policy.Policy{boot, sdk, toggled} {
				if got := p.Decide(f); string(got) != row[i+1] {
					t.Errorf("%s: column %d is %s, the policy decides %s for %+v", row[0], i+1, row[i+1], got, f)
				}
			}
		}
	}
}

// failures returns the failures that a row of the table describes.
func failures(t *testing.T, class policy.Class, when string) []policy.Failure {
	t.Helper()
	classes := []policy.Class{class}
	switch class {
	case "5xx":
		classes = []policy.Class{"500", "502", "503", "504", "599"}
	case "4xx":
		classes = []policy.Class{"400", "403", "405", "410", "499"}
	}
	var all []policy.Failure
	for _, c := range classes {
		f := policy.Failure{Class: c, Path: "meta-data/x", Required: true, Headers: c.Answered()}
		switch when {
		case "", "(any other)":
		case "(optional path)":
			f.Required = false
		case "(optional, listed)":
			f.Required, f.Listed = false, true
		case "(after headers)":
			f.Headers = true
		case "(not HTTP)":
			f.Headers = false
		default:
			t.Fatalf("unknown row: %s %s", class, when)
		}
		all = append(all, f)
	}
	return all
}

func TestActions(t *testing.T) {
	var actions []string
	for _, a := range policy.Actions() {
		actions = append(actions, string(a))
	}
	same(t, "actions", readPage(t, configuration).in("ACTIONS", "*").items("Cm"), actions)
}

// TestPresets compares the numbers of both presets.
func TestPresets(t *testing.T) {
	p := readPage(t, configuration).in("PRESETS", "*")
	for column, preset := range []string{policy.PresetBoot, policy.PresetSDK} {
		shown := map[string]string{}
		for _, row := range p.rows("Va") {
			shown[row[0]] = row[column+1]
		}
		for _, s := range load(t, "[retry]\npreset = \""+preset+"\"\n").Settings {
			name, ok := strings.CutPrefix(s.Key, "retry.")
			if !ok || name == "preset" {
				continue
			}
			if shown[name] != s.Value {
				t.Errorf("%s of %s is %q in the page, %s in the program", name, preset, shown[name], s.Value)
			}
			delete(shown, name)
		}
		for name := range shown {
			t.Errorf("%s is not a key of a preset", name)
		}
	}
	if got := p.rows("Em"); len(got) != 1 || !slices.Equal(got[0][1:], policy.PresetNames()) {
		t.Errorf("the head is %q, the presets are %q", got, policy.PresetNames())
	}
}

// load reads a configuration as --config does, with an empty environment.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "imds-ready.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{File: file, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// TestConfigurationExamples loads every example of the page.
func TestConfigurationExamples(t *testing.T) {
	examples := readPage(t, configuration).in("EXAMPLES", "*").literals()
	for _, text := range examples {
		if c := load(t, text); len(c.Settings) == 0 {
			t.Errorf("no key is set by\n%s", text)
		}
	}
	if len(examples) < 5 {
		t.Errorf("only %d examples", len(examples))
	}
}
