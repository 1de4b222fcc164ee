// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// In any JSON, find returns the same values as encoding/json.
func TestFindProperty(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "0", "", "\\", `"`, "}", "]", ",", "é", "\u2028", "<"}), rapid.String())
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaf := rapid.OneOf(
			rapid.Map(name, func(s string) any { return s }), rapid.Just[any](nil), rapid.Just[any](false),
			rapid.Map(rapid.Int(), func(n int) any { return json.Number(fmt.Sprint(n)) }),
		)
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(
			leaf,
			rapid.Map(rapid.MapOfN(name, value(depth-1), 0, 4), func(m map[string]any) any { return m }),
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 4), func(l []any) any { return l }),
		)
	}
	rapid.Check(t, func(rt *rapid.T) {
		root := rapid.MapOfN(name, value(3), 0, 5).Draw(rt, "root")
		text := encode(t, root)
		if rapid.Bool().Draw(rt, "compact") {
			var buf bytes.Buffer
			if err := json.Compact(&buf, text); err != nil {
				rt.Fatal(err)
			}
			text = buf.Bytes()
		}
		var check func(v any, segs []string)
		check = func(v any, segs []string) {
			var got any
			found := find(text, segs)
			if found != nil {
				dec := json.NewDecoder(bytes.NewReader(found))
				dec.UseNumber()
				if err := dec.Decode(&got); err != nil {
					rt.Fatalf("%q: %q: %v", segs, found, err)
				}
			}
			if !reflect.DeepEqual(got, v) {
				rt.Fatalf("%q: %#v, want %#v", segs, got, v)
			}
			if find(text, append(segs[:len(segs):len(segs)], "no such name")) != nil {
				rt.Fatalf("find returns a member of %q that does not exist", segs)
			}
			switch v := v.(type) {
			case map[string]any:
				for name, below := range v {
					check(below, append(segs[:len(segs):len(segs)], name))
				}
			case []any:
				for i, below := range v {
					check(below, append(segs[:len(segs):len(segs)], fmt.Sprint(i)))
				}
			}
		}
		check(root, nil)
	})
}

func TestLookupJSON(t *testing.T) {
	dir := published(t, Status{})
	put(t, filepath.Join(dir, MetaDataFile), string(encode(t, map[string]any{
		"a": map[string]any{"b": map[string]any{"c": []string{"x", "  y"}, "d": "<1>"}, "e": map[string]any{}},
	})))
	v := values(t, dir)
	for key, want := range map[string]string{
		"a/b":   "{\n  \"c\": [\n    \"x\",\n    \"  y\"\n  ],\n  \"d\": \"<1>\"\n}",
		"a/b/c": "[\n  \"x\",\n  \"  y\"\n]",
		"a/e":   "{}",
	} {
		if got, err := v.LookupJSON(key); err != nil || string(got) != want {
			t.Errorf("%s: %s %v, want %s", key, got, err, want)
		}
	}
}

// Reading the largest files takes little memory and time, for any content.
func TestReadingIsBounded(t *testing.T) {
	many := func(entry string) string { // repeats entry as often as it fits
		var b strings.Builder
		for i := 0; b.Len() < MaxFile-20<<10; i++ {
			fmt.Fprintf(&b, entry, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	small := many(`"%06x":0,`)
	deep := strings.Repeat(`{"`+strings.Repeat("n", 60)+`":`, 60)
	for name, text := range map[string]string{
		"small values":               "{" + small + "}",
		"small objects":              "{" + many(`"%06x":{},`) + "}",
		"objects in a list":          `{"a":[` + many(`{"":%d},`) + "]}",
		"in a name that is too long": `{"` + strings.Repeat("k", 4000) + `":{` + small + "}}",
		"in a long name":             `{"` + strings.Repeat("k", maxListed-10) + `":{` + small + "}}",
		"in 60 long names":           deep + "{" + small + "}" + strings.Repeat("}", 60),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, Status{State: Ready, BootID: "b", Generation: 1})
			put(t, filepath.Join(dir, MetaDataFile), text)
			defer debug.SetGCPercent(debug.SetGCPercent(100))
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := cpu(t)
			v := values(t, dir)
			keys, largest := 0, uint64(0)
			err := v.Walk("", func(string) error {
				if keys++; keys%100_000 == 0 {
					runtime.GC() // otherwise the amount of garbage depends on the load of the machine
					runtime.ReadMemStats(&after)
					largest = max(largest, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.LookupJSON("meta-data"); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			largest = max(largest, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
			if largest > 32<<20 {
				t.Errorf("%d MiB for %d keys", largest>>20, keys)
			}
			if took := cpu(t) - start; took > 10*time.Second { // 0.5 s without the race detector
				t.Errorf("%v for %d keys", took, keys)
			}
		})
	}
}

// cpu returns the CPU time that the process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Long keys can be looked up, although they are not listed.
func TestLongKeysAreNotListed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, Status{State: Ready, BootID: "b", Generation: 1})
	tag, long := strings.Repeat("\U0001F600", 128), strings.Repeat("k", maxListed)
	put(t, filepath.Join(dir, MetaDataFile), fmt.Sprintf(`{"%s": "v", "tags": {"instance": {"%s": "v"}}}`, long, tag))
	v := values(t, dir)
	keys, err := v.List("")
	if want := "tags/ tags/instance/ tags/instance/" + tag; err != nil || strings.Join(keys, " ") != want {
		t.Errorf("%q %v", keys, err)
	}
	if got, err := v.Lookup(long); err != nil || got != "v" {
		t.Errorf("%v %v", got, err)
	}
	if err := v.Walk(long, func(string) error { return fs.SkipAll }); err != nil {
		t.Error(err)
	}
}
