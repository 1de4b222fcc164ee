// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCheckKey(t *testing.T) {
	tests := []struct{ name, key, wantErr string }{
		{"one segment", "instance-id", ""},
		{"many segments", "network/interfaces/macs/02:00:00:00:00:01/ipv4-associations/192.0.2.54", ""},
		{"a final slash", "placement/", ""},
		{"a tag in another script", "tags/instance/Größe", ""},
		{"dots in a name", "tags/instance/...", ""},
		{"64 segments", strings.Repeat("a/", 63) + "a", ""},
		{"65 segments", strings.Repeat("a/", 64) + "a", "must have at most 64 segments, but has 65"},
		{"200 segments", strings.Repeat("a/", 200), "must have at most 64 segments, but has 200"},
		{"4 KiB", strings.Repeat("a", 4<<10), ""},
		{"more than 4 KiB", strings.Repeat("a", 4<<10+1), "must have at most 4096 bytes, but has 4097"},
		{"empty", "", "invalid key: must not be empty: use a key such as instance-id"},
		{"a slash", "/", `invalid key "/": must not begin with a slash: use a key such as instance-id`},
		{"a leading slash", "/placement/region", `invalid key "/placement/region": must not begin with a slash: use placement/region`},
		{"the path of a URL", "/latest/meta-data/mac", "use meta-data/mac"},
		{"parent first", "../user-data", `must not contain the segment "..": use user-data`},
		{"parent in the middle", "placement/../../etc/passwd", "use placement/etc/passwd"},
		{"parent last", "placement/..", "use placement"},
		{"parent only", "..", "use a key such as instance-id"},
		{"current directory", "./mac", `must not contain the segment "."`},
		{"an empty segment", "placement//region", "must not contain two slashes in a row: use placement/region"},
		{"two slashes at the end", "placement//", "must not contain two slashes in a row: use placement"},
		{"NUL", "mac\x00", `invalid key "mac\x00": must not contain control characters`},
		{"a line break", "mac\n", "must not contain control characters"},
		{"an escape", "\x1b[31mmac", `"\x1b[31mmac"`},
		{"C1", "mac\u0085", "must not contain control characters"},
		{"not UTF-8", "mac\xff", "must be valid UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckKey(tt.key)
			if tt.wantErr == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrBadKey) || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("%v, want %s", err, tt.wantErr)
			}
			if text := err.Error(); len(text) > 400 || strings.ContainsAny(text, "\n\x1b\x00") || !utf8.ValidString(text) {
				t.Errorf("%q is not safe to print on a terminal", text)
			}
		})
	}
}

// Lookup and List never panic and read only the two files, for any key. An invalid
// key is reported as such.
func FuzzLookup(f *testing.F) {
	dir := published(f, Status{Missing: map[string]string{"meta-data/": "503"}, State: Ready, Generation: 1})
	put(f, filepath.Join(dir, UserDataFile), "the-secret")
	put(f, filepath.Join(filepath.Dir(dir), "outside"), `{"a": "the-secret"}`)
	v := values(f, dir)
	for _, key := range []string{
		"", "/", "..", "../outside", "../outside/a", "user-data", "status.json", "identity/../user-data", "meta-data/meta-data",
		"instance-id", "placement/", "security-groups/0", "security-groups/99999999999999999999", "identity", "iam/info/Code/x",
		"iam/security-credentials/x", "dynamic/instance-identity/document", "latest/meta-data/mac", "az", "\xff", "a\x00b", "İ",
		strings.Repeat("a/", 200), strings.Repeat("é", 3000), "meta-data", "meta-data/", "identity/", "meta-data/identity",
	} {
		f.Add(key)
	}
	all, err := v.List("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string) {
		bad := CheckKey(key)
		value, err := v.Lookup(key)
		keys, listErr := v.List(key)
		switch {
		case bad != nil:
			if !errors.Is(bad, ErrBadKey) || err == nil || err.Error() != bad.Error() || value != nil {
				t.Errorf("%q: %v, then %v", key, bad, err)
			}
		case err != nil:
			if !isAbsent(err) || value != nil || listErr == nil || strings.ContainsAny(err.Error(), "\n\x1b\x00") || !utf8.ValidString(err.Error()) {
				t.Errorf("%q: %v %v %v", key, value, err, listErr)
			}
		default:
			if listErr != nil || strings.Contains(jsonText(t, value), "the-secret") {
				t.Errorf("%q: %v %v", key, value, listErr)
			}
			for _, k := range keys {
				if !slices.Contains(all, k) && !strings.Contains(key, "/") {
					t.Errorf("List(%q) returns %q, which List(\"\") does not", key, k)
				}
			}
		}
	})
}

// Every listed key can be looked up, for any content of the files. Every top-level
// member of meta-data whose name is a usable segment is listed.
func TestListedKeysCanBeLookedUp(t *testing.T) {
	dir := published(t, Status{})
	segment := rapid.OneOf(
		rapid.SampledFrom([]string{"identity", "meta-data", "dynamic", "instance-identity", "document", "a", "b", "", ".", "..", "x/y", "é", "\n"}),
		rapid.StringN(0, 8, 16),
	)
	var object func(depth int) *rapid.Generator[map[string]any]
	object = func(depth int) *rapid.Generator[map[string]any] {
		leaf := rapid.OneOf(
			rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any]([]any{"x", nil}),
		)
		value := leaf
		if depth > 0 {
			value = rapid.OneOf(leaf, rapid.Map(object(depth-1), func(m map[string]any) any { return m }))
		}
		return rapid.MapOfN(segment, value, 0, 5)
	}
	rapid.Check(t, func(rt *rapid.T) {
		metaData := object(3).Draw(rt, "meta-data")
		for name, o := range map[string]map[string]any{MetaDataFile: metaData, IdentityFile: object(1).Draw(rt, "identity")} {
			put(t, filepath.Join(dir, name), string(encode(t, o)))
		}
		v := values(t, dir)
		keys, err := v.List("")
		if err != nil {
			rt.Fatal(err)
		}
		for _, key := range keys {
			value, err := v.Lookup(key)
			if err != nil || value == nil {
				rt.Errorf("%q is listed: %v %v", key, value, err)
			}
			if _, isDir := value.(map[string]any); isDir != strings.HasSuffix(key, "/") {
				rt.Errorf("%q is %v", key, value)
			}
		}
		if sorted := slices.Sorted(slices.Values(keys)); len(slices.Compact(sorted)) != len(keys) {
			rt.Errorf("a key is listed twice: %q", keys)
		}
		top := slices.Sorted(maps.Keys(metaData))
		for _, name := range top {
			if usableSegment(name) && metaData[name] != nil {
				if !slices.ContainsFunc(keys, func(k string) bool {
					return strings.TrimSuffix(strings.TrimPrefix(k, "meta-data/"), "/") == name
				}) {
					rt.Errorf("%q is not listed: %q", name, keys)
				}
			}
		}
	})
}
