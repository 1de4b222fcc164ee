// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/snapshot"
)

// segment draws a segment of a path: usually one with a meaning, sometimes an invalid one.
var segment = rapid.OneOf(
	rapid.SampledFrom([]string{
		"meta-data", "iam", "info", "security-credentials", "identity-credentials", "ec2", "spot", "instance-action",
		"events", "maintenance", "scheduled", "recommendations", "rebalance", "network", "interfaces", "macs",
		"02:00:00:00:00:01", "02:00:00:00:00:02", "device-number", "network-card", "local-ipv4s", "ipv4-associations",
		"vpc-ipv4-cidr-blocks", "vpc-ipv4-cidr-block", "tags", "instance", "Name", "public-keys", "0", "product-codes",
		"mac", "instance-id",
	}),
	rapid.SampledFrom([]string{"", ".", "..", "a\x00", "\xff", "\u2028", "<", "é", " ", "a=b", "-cidr-blocks"}),
)

var body = rapid.OneOf(
	rapid.SampledFrom([]string{"", "x", "1", "-1", "a\nb", "a\n", "{}", `{"a": 1}`, "[]", "null", "[1", "\xff", "<html>"}),
	rapid.String(),
)

// drawTree draws leaves and directories below meta-data/.
func drawTree(t *rapid.T) map[string][]byte {
	in := map[string][]byte{}
	for range rapid.IntRange(0, 12).Draw(t, "n") {
		path := "meta-data/" + strings.Join(rapid.SliceOfN(segment, 1, 6).Draw(t, "path"), "/")
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			path += "/"
		}
		in[path] = []byte(body.Draw(t, "body"))
	}
	return in
}

// Every leaf is either in the file with its content and the type of its path, replaced by a
// directory of the same name, covered by a problem, or a credential.
func TestEveryLeafIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawTree(t)
		snap, problems := build(in)
		failed := map[string]bool{}
		for _, p := range problems {
			failed[p.Path] = true
		}
		var root any
		if f, ok := snap.files[snapshot.MetaDataFile]; ok {
			if err := json.Unmarshal(f.Data, &root); err != nil {
				t.Fatal(err)
			}
		}
		for path, body := range in {
			if strings.HasSuffix(path, "/") {
				continue
			}
			segs := strings.Split(path, "/")[1:]
			value, ok := lookup(root, segs)
			switch {
			case paths.IsCredentials(path):
				if ok {
					t.Fatalf("credentials %q are in the file", path)
				}
			case ok && isDirectory(in, path):
				if _, isObject := value.(map[string]any); !isObject {
					t.Fatalf("%q is %v, want the directory", path, value)
				}
			case ok:
				if want := expect(segs, body); !reflect.DeepEqual(value, want) {
					t.Fatalf("%q is %v, want %v", path, value, want)
				}
			case !excused(failed, path):
				t.Fatalf("%q is missing; problems %v", path, problems)
			}
		}
	})
}

// lookup returns the value at segs in a decoded file.
func lookup(v any, segs []string) (any, bool) {
	for _, s := range segs {
		dir, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = dir[s]; !ok {
			return nil, false
		}
	}
	return v, true
}

// withoutEnd implements chomp independently.
func withoutEnd(s string) string {
	if !strings.HasSuffix(s, "\n") {
		return s
	}
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// expect returns the expected value of a leaf in a decoded file, computed independently.
func expect(segs []string, body []byte) any {
	switch paths.KindOf(segs) {
	case paths.Document:
		var v any
		if json.Unmarshal(body, &v) != nil {
			return "no JSON"
		}
		return v
	case paths.Lines:
		list := []any{}
		for line := range strings.SplitSeq(withoutEnd(string(body)), "\n") {
			if list = append(list, strings.TrimSuffix(line, "\r")); withoutEnd(string(body)) == "" {
				return []any{}
			}
		}
		return list
	}
	return withoutEnd(string(body))
}

// isDirectory reports whether the tree has a valid path below path.
func isDirectory(in map[string][]byte, path string) bool {
	b := builder{problems: map[string]string{}, missing: map[string]string{}}
	for other := range in {
		if strings.HasPrefix(other, path+"/") && b.usable(other) {
			return true
		}
	}
	return false
}

// excused reports whether path or a directory above it is among the problems.
func excused(failed map[string]bool, path string) bool {
	for path != "" {
		if failed[words.Printable(path)] {
			return true
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	return false
}

// checkBuild checks the properties that the result of Build has for any leaves.
func checkBuild(t testing.TB, schemas schematest.Schemas, in map[string][]byte) {
	t.Helper()
	snap, problems := build(in)
	again, problemsAgain := build(maps.Clone(in))
	if !reflect.DeepEqual(snap, again) || !slices.Equal(problems, problemsAgain) {
		t.Errorf("the same leaves give different results")
	}
	hasEnv := false
	for name, f := range snap.Files(snapshot.Ready) {
		if strings.HasSuffix(name, ".json") {
			schemas.Check(t, name, f.Data)
			if !bytes.HasSuffix(f.Data, []byte("\n")) || !utf8.Valid(f.Data) {
				t.Errorf("%s: no final newline, or not UTF-8: %q", name, f.Data)
			}
		}
		if name == snapshot.EnvFile {
			hasEnv = true
			for line := range strings.Lines(string(f.Data)) {
				if name, value, ok := strings.Cut(line, "="); !ok || !strings.HasPrefix(name, "IMDS_") ||
					!isPlain(strings.TrimSuffix(value, "\n")) {
					t.Errorf("imds.env has the line %q", line)
				}
			}
		}
	}
	if !hasEnv {
		t.Error("imds.env is missing")
	}
	if !slices.IsSortedFunc(problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) }) {
		t.Errorf("problems are not sorted: %v", problems)
	}
	for i, p := range problems {
		if p.Class != classNotUTF8 && p.Class != classBadResponse || words.Printable(p.Path) != p.Path ||
			i > 0 && p.Path == problems[i-1].Path {
			t.Errorf("problem %q", p)
		}
	}
}

func TestBuildAlwaysValid(t *testing.T) {
	schemas := schematest.Load(t)
	rapid.Check(t, func(rt *rapid.T) {
		in := drawTree(rt)
		for _, path := range []string{
			paths.Identity, "user-data", "dynamic/instance-identity/pkcs7", "dynamic/instance-identity/rsa2048",
		} {
			if rapid.Bool().Draw(rt, path) {
				in[path] = []byte(body.Draw(rt, "body"))
			}
		}
		checkBuild(t, schemas, in)
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// Every file can be read back with the written content and mode.
func TestWriteThenRead(t *testing.T) {
	d := open(t)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(strings.Fields(allNames)).Draw(t, "name")
		f := File{Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), Secret: rapid.Bool().Draw(t, "secret")}
		if _, err := d.Write(name, f); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(d.path, name)
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(data, f.Data) {
			t.Fatalf("%q %v, want %q", data, err, f.Data)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != f.Mode() {
			t.Fatalf("%v %v, want %v", info.Mode(), err, f.Mode())
		}
		if changed, err := d.Write(name, f); changed || err != nil {
			t.Fatalf("second write: changed %v, %v", changed, err)
		}
	})
}
