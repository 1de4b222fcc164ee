// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"pgregory.net/rapid"
)

// crawl fetches everything that listings lead to, except for credentials.
func crawl(t *testing.T, w wire, token, path string, got map[string]string) {
	t.Helper()
	answer, _ := w.send(t, getRequest("/latest/"+path, token))
	status, body := statusAndBody(answer)
	if status != "200 OK" {
		t.Errorf("%s: %s", path, status)
	}
	got[path] = body
	if !strings.HasSuffix(path, "/") {
		return
	}
	for entry := range strings.SplitSeq(body, "\n") {
		if strings.HasSuffix(entry, "security-credentials/") {
			continue
		}
		if strings.HasSuffix(path, "/public-keys/") {
			number, _, _ := strings.Cut(entry, "=")
			entry = number + "/"
		}
		crawl(t, w, token, path+entry, got)
	}
}

// A crawl of the default tree finds what it would find on a real instance.
func TestDefaultTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		w := pipeWire(s)
		token, got := w.token(t), map[string]string{}
		crawl(t, w, token, "meta-data/", got)
		crawl(t, w, token, "dynamic/instance-identity/document", got)
		if len(got) < 85 || len(got) > 95 {
			t.Errorf("a crawl is %d paths, want about 90", len(got))
		}
		macs := strings.Split(got["meta-data/network/interfaces/macs/"], "\n")
		if len(macs) != 2 || got["meta-data/network/interfaces/macs/"+macs[0]+"device-number"] != "1" {
			t.Errorf("interfaces %q, want two, the second before the first", macs)
		}
		for _, path := range []string{
			"dynamic/instance-identity/document", "meta-data/iam/info", "meta-data/identity-credentials/ec2/info",
			"meta-data/events/maintenance/history", "meta-data/events/maintenance/scheduled",
		} {
			if !json.Valid([]byte(got[path])) {
				t.Errorf("%s is not JSON: %q", path, got[path])
			}
		}
		if !strings.Contains(got["dynamic/instance-identity/document"], `"instanceId" : "`+got["meta-data/instance-id"]+`"`) {
			t.Error("the document is of another instance")
		}
		for path, body := range got {
			if strings.HasSuffix(path, "/") && strings.HasSuffix(body, "\n") {
				t.Errorf("the listing %s ends in LF", path)
			}
		}
		for _, path := range []string{
			"user-data", "dynamic/instance-identity/pkcs7", "dynamic/instance-identity/signature", "dynamic/instance-identity/rsa2048",
			"meta-data/iam/security-credentials/web-role", "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
		} {
			if status, body := w.get(t, path); status != "200 OK" || body == "" {
				t.Errorf("%s: %s, %q", path, status, body)
			}
		}
	})
}

func TestTreeCopies(t *testing.T) {
	tree := DefaultTree()
	less := tree.Without("meta-data/tags/", "user-data", "meta-data/public-keys")
	if len(less) != len(tree)-6 {
		t.Errorf("%d of %d paths are left, want 6 fewer", len(less), len(tree))
	}
	for key := range less {
		if strings.HasPrefix(key, "meta-data/tags") || strings.HasPrefix(key, "meta-data/public-keys") || key == "user-data" {
			t.Errorf("%s is still there", key)
		}
	}
	less["user-data"] = "other"
	delete(less, "meta-data/mac")
	if !maps.Equal(tree, DefaultTree()) {
		t.Error("a change of the copy changed the original")
	}
}

// Trees with explicit listings, empty directories, and a leaf that is a directory.
func TestOddTrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Tree{
			"meta-data/iam/security-credentials":      "role",
			"meta-data/iam/security-credentials/role": "{}",
			"meta-data/empty/":                        "",
			"meta-data/lies/":                         "../\nno\x00thing",
			"meta-data/lies/truth":                    "1",
			"":                                        "nowhere",
		})
		defer s.Close()
		w := pipeWire(s)
		for path, want := range map[string]string{
			"":                                    "meta-data/",
			"meta-data/":                          "empty/\niam/\nlies/",
			"meta-data/iam/":                      "security-credentials\nsecurity-credentials/",
			"meta-data/iam/security-credentials":  "role",
			"meta-data/iam/security-credentials/": "role",
			"meta-data/empty/":                    "",
			"meta-data/lies":                      "../\nno\x00thing",
			"meta-data/lies/truth":                "1",
		} {
			if status, body := w.get(t, path); status != "200 OK" || body != want {
				t.Errorf("%s: %s, %q, want %q", path, status, body, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := New(nil)
		defer s.Close()
		if status, _ := pipeWire(s).get(t, ""); status != "404 Not Found" {
			t.Errorf("an empty tree answers %s", status)
		}
	})
}

// keys returns the sorted paths of a tree.
func keys(t Tree) []string { return slices.Sorted(maps.Keys(t)) }

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
	deep := strings.Repeat(`{"d":`, maxTreeDepth) + "{}" + strings.Repeat("}", maxTreeDepth)
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", "byte 0: unexpected end of JSON input"},
		{"not JSON", "hello", "invalid character"},
		{"array", `["a"]`, "byte 1: must be an object"},
		{"string", `"a"`, "byte 1: must be an object"},
		{"half", `{"a": {"b": "c"`, "byte 15: unexpected end"},
		{"half of an array", `{"a": ["b"`, "byte 10: unexpected end"},
		{"half of a member", `{"a"`, "byte 4: unexpected end"},
		{"something after", `{"a": "b"} {}`, "byte 12: invalid character '{' after top-level value"},
		{"number", `{"d": {"a": 1}}`, "byte 13: /d/a: must be a string, an array"},
		{"number out of range", `{"a": 1e999}`, "/a: must be a string"},
		{"null", `{"a": null}`, "byte 10: /a: must be a string, an array"},
		{"bool", `{"a": true}`, "byte 10: /a: must be a string, an array"},
		{"number in lines", `{"a": ["x", 1]}`, "byte 13: /a: every line must be a string"},
		{"lines in lines", `{"a": [["x"]]}`, "byte 8: /a: every line must be a string"},
		{"directory in lines", `{"a": [{}]}`, "byte 8: /a: every line must be a string"},
		{"twice", `{"d": {"a": "1", "a": "2"}}`, `/d/: the name "a" occurs twice`},
		{"a directory twice", `{"d": {"a": "1"}, "d": {"b": "2"}}`, `/: the name "d" occurs twice`},
		{"dots", `{"..": "1"}`, `the name ".."`},
		{"dot", `{"d": {".": {}}}`, `/d/: the name "."`},
		{"slash", `{"a/b": "1"}`, `the name "a/b"`},
		{"control character", `{"a\u0000": "1"}`, "a control character"},
		{"line feed", `{"a\n": "1"}`, "a control character"},
		{"long name", `{"` + strings.Repeat("x", 256) + `": "1"}`, "over 255 bytes"},
		{"deep", deep, "more than 32 levels"},
		{"listing of the root", `{"": "a"}`, "the root must not have a listing"},
		{"listing that is a directory", `{"d": {"": {}}}`, "/d/: must be a string"},
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

// A tree that JSON can express is read back as it was printed.
func TestTreeRoundTrip(t *testing.T) {
	names := rapid.StringMatching(`[a-c]{1,2}`)
	rapid.Check(t, func(t *rapid.T) {
		tree := Tree{}
		for range rapid.IntRange(0, 8).Draw(t, "paths") {
			dirs := rapid.SliceOfN(names, 0, 3).Draw(t, "directories")
			// Leaves are upper case, so that none is a directory as well.
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
