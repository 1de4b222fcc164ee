// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sameAgain holds that the printed settings of a configuration are a file
// that means the same.
func sameAgain(t interface{ Fatalf(string, ...any) }, keys schema, text string) {
	first := parse(keys, "F", text)
	if len(first.problems) > 0 {
		t.Fatalf("%v:\n%s", first.problems, text)
	}
	v, settings := merge([]document{first}).resolve(keys)
	again := printed(settings)
	second := parse(keys, "F", again)
	if len(second.problems) > 0 {
		t.Fatalf("printed settings have problems:\n%v\n%s", second.problems, again)
	}
	v2, settings2 := merge([]document{second}).resolve(keys)
	if !reflect.DeepEqual(v.ready, v2.ready) || v.url != v2.url || v.mode != v2.mode || v.tokenTTL != v2.tokenTTL {
		t.Fatalf("printed settings mean something else:\n%+v\n%+v", v, v2)
	}
	for i, s := range settings {
		if len(settings2) != len(settings) || settings2[i].Key != s.Key || settings2[i].Value != s.Value {
			t.Fatalf("settings %v became %v", settings, settings2)
		}
	}
}

func FuzzLoad(f *testing.F) {
	if example, err := os.ReadFile(exampleFile); err == nil {
		f.Add(commented.ReplaceAll(example, []byte("$1")))
	}
	for _, seed := range []string{
		"", "\ufeff", "\xff\xfe", "\x00", "[retry]\ndeadline = 5\n", "retry = {rule = [{on = ['404'], action = 'fail'}]}",
		"[[require]]\nequals = ['a', 'b']\npath = 'meta-data/mac'", "[[require]]\npath = 'meta-data/x/'\nequals = 'a'",
		"[[require]]\npath = 'meta-data/iam/info'\ndeadline = '10m'\n[[require]]\npath = 'user-data'",
		"[[retry.rule]]\non = [\n'5xx',\n]\naction = \"\"\"wait\"\"\"\npath = 'meta-data/{a,b}/**'",
		"endpoint.url = 'http://[::1%25lo]:80/a/'\nretry.preset = 'sdk'", "a.b.c = 1\n[a.b]\nd = {e = [1, {f = 2}]}",
		"x = \"\\ud800\"", "x = 0x_1", "\"\" = 1", "[\"\"]", "x = 1e9999", "[[x]]\n[x]\n", "x = 1979-05-27T07:32:00Z", "'''a''' = 1",
		"output.textfile = '/var//lib/x/'", "[output]\ntextfile = '/a/../b.prom'",
		"[retry]\r\neager = false # x\r\n[metadata]\r\nexclude = [\r\n 'a',\r\n]\r\n",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "config.toml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Options{File: path, Getenv: env()})
		if (c == nil) == (err == nil) {
			t.Fatalf("configuration %v, error %v", c, err)
		}
		checkSplit(t, strings.TrimPrefix(string(data), "\ufeff"))
		if err == nil {
			sameAgain(t, newSchema(), string(data))
			return
		}
		for i, p := range err.(Problems) {
			if i == maxProblems && p.Source == (Source{}) {
				break // the number of further problems
			}
			if p.Message == "" || p.Source.File != path || strings.ContainsAny(p.Error(), "\n\r\x00\x1b") {
				t.Fatalf("a problem that cannot be shown: %q", p.Error())
			}
			if lines := strings.Count(string(data), "\n") + 1; p.Source.Line < 1 || p.Source.Line > lines {
				t.Fatalf("line %d of %d: %v", p.Source.Line, lines, p)
			}
		}
	})
}

func FuzzEndpointURL(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:1338/", "http://[fe80::1%25eth0]/a%2fb", "http://localhost", "http://a@b?c#d", "http://127.0.0.1/%2e", "http://[fde8::01%25\xe5th0]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		value, problem := endpointURL(raw)
		if problem != "" && value != "" {
			t.Fatalf("%q: both %q and %q", raw, value, problem)
		}
		if again, problem := endpointURL(value); again != value || problem != "" {
			t.Fatalf("%q becomes %q, then %q, %q", raw, value, again, problem)
		}
	})
}

// anyConfig draws a valid file.
func anyConfig(t *rapid.T) string {
	pick := func(from ...string) func() string {
		return func() string { return rapid.SampledFrom(from).Draw(t, "value") }
	}
	duration := func(low, high int64) func() string {
		return func() string { return fmt.Sprintf(`"%dms"`, rapid.Int64Range(low, high).Draw(t, "ms")) }
	}
	whole := func(low, high int) func() string {
		return func() string { return fmt.Sprint(rapid.IntRange(low, high).Draw(t, "n")) }
	}
	globs := func() string {
		return tomlStrings(rapid.SliceOfN(rapid.StringMatching(`meta-data/[a-z*"\\\\é -]{1,5}/\*\*`), 0, 3).Draw(t, "globs"))
	}
	boolean, pause, deadline := pick("true", "false"), duration(1, 3600_000), duration(0, 168*3600_000)
	required := pick(`"user-data"`, `"meta-data/mac"`, `"meta-data/iam/info"`, `"meta-data/tags/instance/"`, `"dynamic/instance-identity/document"`)
	path := ""
	values := map[string]func() string{
		"endpoint.mode": pick(`"auto"`, `"ipv4"`, `"ipv6"`), "endpoint.url": pick(`""`, `"http://[::1]:1/x"`),
		"endpoint.interface": pick(`""`, `"eth0"`, `"br-0.7"`),
		"endpoint.token_ttl": pick(`"1s"`, `"3h30m"`, `"1m5s"`), "retry.preset": pick(`"boot"`, `"sdk"`),
		"retry.max_attempts": whole(0, 1000000), "retry.deadline": deadline, "retry.initial_backoff": pause,
		"retry.multiplier":  func() string { return tomlFloat(rapid.Float64Range(1, 100).Draw(t, "f")) },
		"retry.max_backoff": pause, "retry.jitter": pick(`"full"`, `"equal"`, `"none"`), "retry.connect_timeout": pause,
		"retry.read_timeout": pause, "retry.retry_connect_timeouts": boolean, "retry.eager": boolean,
		"retry.rule.on": pick(`["404"]`, `["4xx", "blocked", "503"]`), "retry.rule.path": pick(`""`, `"**"`, `"meta-data/{a,b}"`),
		"retry.rule.action": pick(`"retry"`, `"wait"`, `"fail"`, `"absent"`),
		"require.path":      func() string { path = required(); return path },
		"require.equals": func() string {
			if path != `"meta-data/mac"` {
				return `""`
			}
			return pick(`""`, `"é"`, `["a"]`, `["a\nb", "\"c\\"]`)()
		},
		"require.deadline": deadline, "require.max_attempts": whole(0, 1000000),
		"ready.on_timeout": pick(`"fail"`, `"continue"`), "ready.on_disabled": pick(`"fail"`, `"continue"`),
		"ready.on_not_ec2": pick(`"skip"`, `"fail"`, `"try"`), "metadata.include": globs, "metadata.exclude": globs,
		"metadata.collect_deadline": deadline, "metadata.user_data": boolean, "metadata.signatures": boolean,
		"metadata.concurrency": whole(1, 16), "metadata.requests_per_second": whole(1, 280),
		"output.textfile": pick(`""`, `"/run/imds"`, `"/a \" b/"`, `"/x/y.prom"`, `"/y.prom/"`),
		"watch.paths":     pick(`["meta-data/mac"]`, `["meta-data/tags/instance/ \"x\"", "dynamic/instance-identity/document"]`),
		"watch.interval":  pick(`"1s"`, `"1h"`, `"1500ms"`),
	}
	var b strings.Builder
	keys := newSchema()
	for _, table := range keys.tables() {
		times := 1
		if isList(table) {
			times = rapid.IntRange(0, 3).Draw(t, "entries")
		}
		for range times {
			b.WriteString(brackets(table) + "\n")
			for _, k := range keys {
				needed := k.name == "require.path" || k.name == "retry.rule.on" || k.name == "retry.rule.action"
				if k.table == table && (needed || rapid.Bool().Draw(t, "set")) {
					b.WriteString(k.leaf + " = " + values[k.name]() + "\n")
				}
			}
		}
	}
	return b.String()
}

func TestPrintedSettingsMeanTheSame(t *testing.T) {
	keys := newSchema()
	rapid.Check(t, func(t *rapid.T) {
		text := anyConfig(t)
		sameAgain(t, keys, text)
		_, settings := merge([]document{parse(keys, "F", text)}).resolve(keys)
		_, windows := merge([]document{parse(keys, "F", strings.ReplaceAll(text, "\n", "\r\n"))}).resolve(keys)
		if !reflect.DeepEqual(settings, windows) {
			t.Fatalf("with the lines of Windows, %v became %v", settings, windows)
		}
	})
}

// TestLaterFileWins merges two files and compares each plain key with the
// file that should have set it.
func TestLaterFileWins(t *testing.T) {
	keys := newSchema()
	rapid.Check(t, func(t *rapid.T) {
		first, second := parse(keys, "1", anyConfig(t)), parse(keys, "2", anyConfig(t))
		_, settings := merge([]document{first, second}).resolve(keys)
		want := map[string]Source{}
		for _, d := range []document{first, second} {
			for _, a := range d.assignments {
				want[a.key.name] = a.source
			}
		}
		rules := 0
		for _, s := range settings {
			if strings.HasPrefix(s.Key, ruleList) && strings.HasSuffix(s.Key, ".on") {
				rules++
				if inSecond := rules <= count(second, ruleList); inSecond != (s.Source.File == "2") {
					t.Fatalf("%s is from %s", s.Key, s.Origin)
				}
			}
			if !strings.Contains(s.Key, "[") && s.Source != want[s.Key] {
				t.Fatalf("%s is from %s, want %v", s.Key, s.Origin, want[s.Key])
			}
		}
		if rules != count(first, ruleList)+count(second, ruleList) {
			t.Fatalf("%d rules", rules)
		}
	})
}

func count(d document, list string) (n int) {
	for _, e := range d.entries {
		if e.list == list {
			n++
		}
	}
	return n
}
