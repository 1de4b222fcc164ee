// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// service is an IMDS whose tree changes, for collections with faults.
type service map[string]string // leaf below meta-data/: value

// collect returns a collection from the service. The paths in broken fail. If such a path is
// a directory, everything below it is missing.
func (s service) collect(broken map[string]string) Collection {
	c := Collection{Leaves: map[string][]byte{}, Missing: map[string]string{}}
	var walk func(dir string)
	walk = func(dir string) {
		if class, ok := broken[dir]; ok {
			c.Missing[dir] = class
			return
		}
		c.Leaves[dir] = nil
		for path := range s.below(dir) {
			if strings.HasSuffix(path, "/") {
				walk(path)
			} else if class, ok := broken[path]; ok {
				c.Missing[path] = class
			} else {
				c.Leaves[path] = []byte(s[strings.TrimPrefix(path, paths.MetaData)])
			}
		}
	}
	walk(paths.MetaData)
	return c
}

// below lists a directory.
func (s service) below(dir string) map[string]bool {
	entries := map[string]bool{}
	for leaf := range s {
		if rest, ok := strings.CutPrefix(paths.MetaData+leaf, dir); ok {
			name, _, isDir := strings.Cut(rest, "/")
			if isDir {
				name += "/"
			}
			entries[dir+name] = true
		}
	}
	return entries
}

// leavesOf adds the leaves of meta-data.json to a flat map.
func leavesOf(prefix string, node any, into map[string]string) {
	if dir, ok := node.(map[string]any); ok {
		for name, below := range dir {
			leavesOf(prefix+"/"+name, below, into)
		}
		return
	}
	into[strings.TrimPrefix(prefix, "/")] = fmt.Sprint(node)
}

// after returns the content of the files before the next collection.
func after(t interface{ Fatal(...any) }, s Snapshot, missing map[string]string) *Previous {
	p := &Previous{missing: missing}
	if f, ok := s.files[snapshot.MetaDataFile]; ok {
		if err := json.Unmarshal(f.Data, &p.metaData); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// For any changes and failures, every value in the files was served at its path in this
// boot, every path that the last collection served has its newest value, and a value that it
// did not serve is kept only if its request or a listing above it failed.
func TestMergeProperty(t *testing.T) {
	leaf := rapid.SampledFrom([]string{"a", "b", "d/x", "d/y", "d/e/z", "f/g", "d", "f", "security-groups", "iam/info"})
	rapid.Check(t, func(t *rapid.T) {
		s, served := service{}, map[string]bool{}
		var previous *Previous
		for round := range rapid.IntRange(1, 5).Draw(t, "rounds") {
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				path := leaf.Draw(t, "leaf")
				if rapid.IntRange(0, 2).Draw(t, "change") == 0 {
					delete(s, path)
					continue
				}
				for other := range s { // a name is a leaf or a directory
					if strings.HasPrefix(other, path+"/") || strings.HasPrefix(path, other+"/") {
						delete(s, other)
					}
				}
				s[path] = fmt.Sprintf(`"%d"`, round)
			}
			broken := map[string]string{}
			for _, path := range slices.Sorted(maps.Keys(s)) {
				for i := range path {
					if path[i] == '/' && rapid.IntRange(0, 5).Draw(t, "directory") == 0 {
						broken[paths.MetaData+path[:i+1]] = "503"
					}
				}
				if rapid.IntRange(0, 3).Draw(t, "leaf fails") == 0 {
					broken[paths.MetaData+path] = rapid.SampledFrom([]string{"503", "404"}).Draw(t, "class")
				}
			}
			if rapid.IntRange(0, 7).Draw(t, "root") == 0 {
				broken[paths.MetaData] = "404"
			}
			c := s.collect(broken)
			c.Previous = previous
			snap, problems := Build(c)
			if len(problems) != 0 {
				t.Fatalf("problems %v", problems)
			}
			now := map[string]string{}
			next := after(t, snap, c.Missing)
			for name, node := range next.metaData {
				leavesOf(name, node, now)
			}
			for path, body := range c.Leaves {
				if path, below := strings.CutPrefix(path, paths.MetaData); below && !strings.HasSuffix(path, "/") {
					want := fmt.Sprint(expect(strings.Split(path, "/"), body))
					served[path+"="+want] = true
					if now[path] != want {
						t.Fatalf("%s is %q, and %q was just served", path, now[path], want)
					}
				}
			}
			for path, value := range now {
				if !served[path+"="+value] {
					t.Fatalf("%s has %q, which was never served", path, value)
				}
				if _, fresh := c.Leaves[paths.MetaData+path]; !fresh && !excusedBy(c.Missing, paths.MetaData+path) {
					t.Fatalf("%s has %q, although nothing above it failed: %v", path, value, c.Missing)
				}
			}
			previous = next
		}
	})
}

// excusedBy reports whether a path or a directory above it is missing.
func excusedBy(missing map[string]string, path string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(missing)), func(m string) bool {
		return m == path || strings.HasSuffix(m, "/") && strings.HasPrefix(path, m)
	})
}

// Two collections in a row with a 404 drop the previous value, except for the root and the
// interfaces.
func TestMergeTwice404(t *testing.T) {
	const macs = "meta-data/network/interfaces/macs/"
	full := map[string]string{"meta-data/mac": "x", "meta-data/b": "y", macs + "02:00:00:00:00:01/mac": "z"}
	for _, tt := range []struct {
		path, key   string
		first, last string
		kept        bool
	}{
		{"meta-data/mac", "mac", "404", "404", false},
		{"meta-data/mac", "mac", "503", "404", true},
		{"meta-data/mac", "mac", "404", "503", true},
		{"meta-data/", "mac", "404", "404", true},
		{macs, "network/interfaces/macs/02:00:00:00:00:01/mac", "404", "404", true},
	} {
		c := Collection{Leaves: leaves(full)}
		snap, _ := Build(c)
		for _, class := range []string{tt.first, tt.last} {
			c = Collection{Leaves: map[string][]byte{"meta-data/b": []byte("y")}, Missing: map[string]string{tt.path: class}, Previous: after(t, snap, c.Missing)}
			snap, _ = Build(c)
		}
		if got := after(t, snap, nil).lookup(tt.key) != nil; got != tt.kept {
			t.Errorf("%s, %s then %s: kept %v, want %v", tt.path, tt.first, tt.last, got, tt.kept)
		}
	}
}

// The other files are derived from the merged tree, and the secret files keep the values
// that could not be fetched.
func TestMergedFiles(t *testing.T) {
	in := instance(t)
	in[paths.UserData] = []byte("#!")
	in[signaturePath("pkcs7")], in[signaturePath("rsa2048")] = []byte("p"), []byte("r")
	full, _ := build(in)
	d := open(t)
	files, _, err := d.Publish(full, snapshot.Ready, nil)
	if err != nil {
		t.Fatal(err)
	}
	little := Collection{
		Leaves:   map[string][]byte{paths.Identity: in[paths.Identity], signaturePath("pkcs7"): []byte("new")},
		Missing:  map[string]string{"meta-data/": "503", paths.UserData: "503", signaturePath("rsa2048"): "503"},
		Previous: d.Previous(snapshot.Status{Files: files}),
	}
	merged, problems := Build(little)
	if len(problems) != 0 {
		t.Errorf("problems %v", problems)
	}
	for name, want := range full.files {
		if name != snapshot.SignaturesFile && string(merged.files[name].Data) != string(want.Data) {
			t.Errorf("%s has changed:\n%s\nwant\n%s", name, merged.files[name].Data, want.Data)
		}
	}
	if !slices.Equal(merged.env, full.env) {
		t.Errorf("imds.env %q, want %q", merged.env, full.env)
	}
	var set signatureSet
	if err := json.Unmarshal(merged.files[snapshot.SignaturesFile].Data, &set); err != nil || *set.PKCS7 != "new" || *set.RSA2048 != "r" {
		t.Errorf("signatures %+v, %v", set, err)
	}
	// Without a failure, the files are removed. With another document, so are the signatures.
	little.Missing = nil
	if gone, _ := Build(little); gone.files[snapshot.MetaDataFile].Data != nil || gone.files[snapshot.UserDataFile].Data != nil {
		t.Error("files are kept although nothing failed")
	}
	little.Missing = map[string]string{signaturePath("rsa2048"): "503"}
	little.Leaves[paths.Identity] = []byte(`{"instanceId": "i-2"}`)
	other, _ := Build(little)
	if err := json.Unmarshal(other.files[snapshot.SignaturesFile].Data, &set); err != nil || set.RSA2048 != nil {
		t.Errorf("a signature of another document is kept: %+v, %v", set, err)
	}
}
