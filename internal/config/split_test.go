// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // line:text
	}{
		{"nothing", "", nil},
		{"comments", "# a = 1\n\n  # b\n", nil},
		{"keys", "a = 1\n\n b.c= 2 # d = 3\r\n", []string{"1:a = 1", "3:b.c= 2"}},
		{"headers", "[a] # [b]\n[[c]]", []string{"1:[a]", "2:[[c]]"}},
		{"list", "a = [\n 1, # ]\n '[', \"]\", \"\\\"]\",\n]\nb = 2", []string{"1:a = [\n 1, # ]\n '[', \"]\", \"\\\"]\",\n]", "5:b = 2"}},
		{"inline table", "a = {\n b = 1,\n}\nc = 2", []string{"1:a = {\n b = 1,\n}", "4:c = 2"}},
		{"multi-line", "a = \"\"\"\nb = \"1\"\n\\\"\"\"\\\n\"\"\"\nc = 2", []string{"1:a = \"\"\"\nb = \"1\"\n\\\"\"\"\\\n\"\"\"", "5:c = 2"}},
		{"multi-line literal", "a = '''\nb = '1'\n\\'''\nc = 2", []string{"1:a = '''\nb = '1'\n\\'''", "4:c = 2"}},
		{"quotes before the end", "a = \"\"\"x\"\"\"\"\"\nb = ''''' '''''\nc = 2", []string{"1:a = \"\"\"x\"\"\"\"\"", "2:b = ''''' '''''", "3:c = 2"}},
		{"a quote before the end, in a list", "a = [\"\"\"x\"\"\"\", ']']\nb = 2", []string{"1:a = [\"\"\"x\"\"\"\", ']']", "2:b = 2"}},
		{"empty strings", "a = \"\"\nb = ''\nc = \"\"\"\"\"\"\nd = 1", []string{"1:a = \"\"", "2:b = ''", "3:c = \"\"\"\"\"\"", "4:d = 1"}},
		{"backslash in a literal", "a = 'x\\'\nb = 1", []string{"1:a = 'x\\'", "2:b = 1"}},
		{"open string", "a = \"x\nb = 1", []string{"1:a = \"x", "2:b = 1"}},
		{"open string with a backslash", "a = \"x\\\nb = 1", []string{"1:a = \"x\\", "2:b = 1"}},
		{"closed too often", "a = ]]\nb = 1", []string{"1:a = ]]", "2:b = 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			statements, deep := split(tt.text)
			var got []string
			for _, s := range statements {
				got = append(got, fmt.Sprintf("%d:%s", s.line, s.text))
			}
			if !reflect.DeepEqual(got, tt.want) || deep != 0 {
				t.Errorf("got  %q, deep %d\nwant %q", got, deep, tt.want)
			}
		})
	}
}

// TestHostileFiles bounds the time for files of the size limit that are made
// to be slow: the library alone would need minutes, or all memory.
func TestHostileFiles(t *testing.T) {
	const n = maxFile / 8
	for name, text := range map[string]string{
		"brackets":       "x = " + strings.Repeat("[", maxFile-10),
		"braces":         "x = " + strings.Repeat("{a=", n),
		"braces, lines":  "x = " + strings.Repeat("{\na=", n),
		"dots":           strings.Repeat("a.", n) + "a = 1",
		"dots in header": "[" + strings.Repeat("a.", n) + "a]",
		"one long list":  "metadata.exclude = [\n" + strings.Repeat("'a',\n", n) + "'/']",
		"open quotes":    strings.Repeat("\"\"\"\n", n),
		"escaped quotes": strings.Repeat("\\\"\"\"\n", maxFile/5),
		"many headers":   strings.Repeat("[x]\n", n),
		"many entries":   strings.Repeat("[[require]]\n", n/8),
		"bad items":      "metadata.exclude = [" + strings.Repeat("'/',", n*2-10) + "]",
		"bad values":     "retry.rule = [" + strings.Repeat("{on=1},", n/8) + "]",
		"long name":      "[retry]\n" + strings.Repeat("a", maxFile-20) + " = 1",
	} {
		start := cpuTime(t)
		if d := parse(newSchema(), "F", text); len(d.problems) == 0 {
			t.Errorf("%s: no problem", name)
		}
		// Generous, for the race detector and an emulator: without bounds it is minutes.
		if took := cpuTime(t) - start; took > time.Minute {
			t.Errorf("%s: took %v of CPU time", name, took)
		}
	}
}

// cpuTime returns the CPU time of this process, which other processes do not prolong.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// checkSplit compares the splitter with the library: in a valid file it finds
// single statements, which together make up the file.
func checkSplit(t *testing.T, text string) {
	t.Helper()
	var whole, joined map[string]any
	statements, deep := split(text)
	if problem, _ := encoding(text); problem != "" || deep > 0 || toml.Unmarshal([]byte(text), &whole) != nil {
		return
	}
	var b strings.Builder
	for _, s := range statements {
		b.WriteString(s.text + "\n")
		var alone map[string]any
		meta, err := toml.Decode(s.text, &alone)
		if err != nil {
			t.Fatalf("line %d, %q: %v", s.line, s.text, err)
		}
		if lines := strings.Split(text, "\n"); !strings.HasPrefix(strings.TrimLeft(lines[s.line-1], " \t"), strings.SplitN(s.text, "\n", 2)[0]) {
			t.Fatalf("line %d is not %q", s.line, s.text)
		}
		// One statement: one name at each level of its key.
		var at any = alone
		for _, name := range meta.Keys()[0] {
			table, ok := at.(map[string]any)
			if list, isList := at.([]map[string]any); isList {
				table, ok = list[0], true
			}
			if !ok || len(table) != 1 {
				t.Fatalf("line %d has more than one statement: %q", s.line, s.text)
			}
			at = table[name]
		}
	}
	if err := toml.Unmarshal([]byte(b.String()), &joined); err != nil || fmt.Sprint(joined) != fmt.Sprint(whole) {
		t.Fatalf("the statements make up %v (%v), the file %v", joined, err, whole)
	}
}
