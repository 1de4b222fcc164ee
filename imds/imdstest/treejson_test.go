// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestParseTree(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Tree
	}{
		{"nothing", "{}", Tree{}},
		{"leaves and directories", ` {"a": "1", "d": {"b": "", "e": {"c": "x\ny"}}} `, Tree{"a": "1", "d/b": "", "d/e/c": "x\ny"}},
		{"lines", `{"a": ["1", "2"], "b": [], "c": ["1"]}`, Tree{"a": "1\n2", "b": "", "c": "1"}},
		{"listing", `{"keys": {"": ["0=a", "1=b"], "0": {"k": "v"}}}`, Tree{"keys/": "0=a\n1=b", "keys/0/k": "v"}},
		{"empty directory", `{"d": {}, "e": {"": ""}}`, Tree{"d/": "", "e/": ""}},
		{"a document is a string", `{"doc": "{\"x\": [1]}"}`, Tree{"doc": `{"x": [1]}`}},
		{"odd names", `{"0e:49:61:0f:c3:11": "1", "a b": "2", "...": "3", "é": "4"}`, Tree{"0e:49:61:0f:c3:11": "1", "a b": "2", "...": "3", "é": "4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTree(strings.NewReader(tt.in))
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("ParseTree = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestParseTreeErrors(t *testing.T) {
	deep := strings.Repeat(`{"d":`, maxTreeDepth+1)
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", "unexpected EOF"},
		{"not JSON", "hello", "invalid character"},
		{"array", `["a"]`, "[ instead of an object"},
		{"string", `"a"`, "a instead of an object"},
		{"half", `{"a": {"b": "c"`, "unexpected EOF"},
		{"half of an array", `{"a": ["b"`, "unexpected EOF"},
		{"half of a member", `{"a"`, "unexpected EOF"},
		{"something after", `{"a": "b"} {}`, "after the end of the tree"},
		{"number", `{"d": {"a": 1}}`, "/d/a: 1 instead of a string"},
		{"null", `{"a": null}`, "/a: <nil> instead of a string"},
		{"bool", `{"a": true}`, "/a: true instead of a string"},
		{"number in lines", `{"a": ["x", 1]}`, "/a: 1 among the lines"},
		{"lines in lines", `{"a": [["x"]]}`, "/a: [ among the lines"},
		{"directory in lines", `{"a": [{}]}`, "/a: { among the lines"},
		{"twice", `{"d": {"a": "1", "a": "2"}}`, `/d/: the name "a" is there twice`},
		{"a directory twice", `{"d": {"a": "1"}, "d": {"b": "2"}}`, `/: the name "d" is there twice`},
		{"dots", `{"..": "1"}`, `the name ".."`},
		{"dot", `{"d": {".": {}}}`, `/d/: the name "."`},
		{"slash", `{"a/b": "1"}`, `the name "a/b"`},
		{"control character", `{"a\u0000": "1"}`, "a control character"},
		{"line feed", `{"a\n": "1"}`, "a control character"},
		{"long name", `{"` + strings.Repeat("x", 256) + `": "1"}`, "over 255 bytes"},
		{"deep", deep, "more than 32 levels"},
		{"listing of the root", `{"": "a"}`, "the root has no listing"},
		{"listing that is a directory", `{"d": {"": {}}}`, "/d/: { instead of"},
		{"not UTF-8", "{\"a\": \"\xff\"}", "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTree(strings.NewReader(tt.in))
			if err == nil || got != nil || !strings.HasPrefix(err.Error(), "parsing tree: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseTree = %q, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := ParseTree(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("ParseTree = %v, want %v", err, broken)
	}
}

// spaces is an endless reader.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func TestParseTreeIsBounded(t *testing.T) {
	if _, err := ParseTree(spaces{}); err == nil || !strings.Contains(err.Error(), "more than 67108864 bytes") {
		t.Errorf("ParseTree = %v, want an error about the size", err)
	}
}

func TestMarshalTree(t *testing.T) {
	tree := DefaultTree()
	printed, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseTree(strings.NewReader(string(printed)))
	if err != nil || !maps.Equal(again, tree) {
		t.Errorf("the default tree is read back as %q, %v", keys(again), err)
	}
	for _, tt := range []struct {
		name string
		tree Tree
		want string
	}{
		{"leaf and directory", Tree{"a": "1", "a/b": "2"}, "a leaf and a directory at once"},
		{"leaf and listing", Tree{"a": "1", "a/": "2"}, "a leaf and a directory at once"},
		{"body", Tree{"a": "\xff"}, "not UTF-8"},
		{"key", Tree{"\xff": "a"}, "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := json.Marshal(tt.tree); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Marshal = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// What is printed is read back, for trees that JSON can say.
func TestTreeRoundTrip(t *testing.T) {
	names := rapid.StringMatching(`[a-c]{1,2}`)
	rapid.Check(t, func(t *rapid.T) {
		tree := Tree{}
		for range rapid.IntRange(0, 8).Draw(t, "paths") {
			dirs := rapid.SliceOfN(names, 0, 3).Draw(t, "directories")
			// Upper case for leaves, so that none is a directory as well.
			leaf := strings.ToUpper(names.Draw(t, "leaf"))
			tree[strings.Join(append(dirs, leaf), "/")] = rapid.String().Draw(t, "body")
			if len(dirs) > 0 && rapid.Bool().Draw(t, "listing") {
				tree[strings.Join(dirs, "/")+"/"] = rapid.String().Draw(t, "listing body")
			}
		}
		printed, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseTree(strings.NewReader(string(printed)))
		if err != nil || !maps.Equal(again, tree) {
			t.Fatalf("%q printed as %s, read as %q, %v", tree, printed, again, err)
		}
	})
}

func FuzzParseTree(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a": "1", "d": {"b": "", "e": {"c": "x\ny"}}}`, `{"keys": {"": ["0=a"], "0": {"k": "v"}}}`, `{"d": {}}`,
		`{"a": ["1", 2]}`, `{"..": "1"}`, `{"a": "1", "a": "2"}`, `{"a/b": "c"}`, `{"\ud800": "x"}`, `[[[[`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tree, err := ParseTree(strings.NewReader(s))
		if err != nil {
			if tree != nil {
				t.Fatalf("%q with an error: %v", tree, err)
			}
			return
		}
		for key := range tree {
			for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
				if segment == "" || !isName(segment) {
					t.Fatalf("%q has a path %q", s, key)
				}
			}
		}
		printed, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseTree(strings.NewReader(string(printed))); err != nil || !maps.Equal(again, tree) {
			t.Fatalf("%q printed as %s, read as %q, %v", s, printed, again, err)
		}
	})
}
