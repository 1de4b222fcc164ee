// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// keyed is the default tree with a listing of public keys.
func keyed(listing string) imdstest.Tree {
	tree := imdstest.DefaultTree().Without("meta-data/public-keys")
	tree["meta-data/public-keys/"] = listing
	tree["meta-data/public-keys/0/openssh-key"] = "ssh-ed25519 A"
	tree["meta-data/public-keys/1/openssh-key"] = "ssh-ed25519 B"
	return tree
}

// public-keys: "0=name" in the listing, the key at 0/openssh-key.
func TestCollectPublicKeys(t *testing.T) {
	a, b := map[string]any{"name": "web-key", "openssh-key": "ssh-ed25519 A"}, map[string]any{"name": "a=b c", "openssh-key": "ssh-ed25519 B"}
	tests := []struct {
		name, listing string
		want          map[string]any
	}{
		{"one", "0=web-key", map[string]any{"0": a}},
		{"a name with a slash", "0=team/key", map[string]any{"0": map[string]any{"name": "team/key", "openssh-key": "ssh-ed25519 A"}}},
		{"two, one with an odd name", "0=web-key\n1=a=b c", map[string]any{"0": a, "1": b}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, imdstest.New(keyed(tt.listing))).run(t)
			if got := tr.object(t, "meta-data.json")["public-keys"]; !reflect.DeepEqual(got, any(tt.want)) {
				t.Errorf("public-keys %v, want %v", got, tt.want)
			}
			if len(tr.status.Missing) != 0 {
				t.Errorf("missing %v", tr.status.Missing)
			}
		})
	}
}

// What stands before the "=" becomes a part of a path, so it has to be a name
// like any other.
func TestCollectPublicKeysHostile(t *testing.T) {
	for _, entry := range []string{"..=up", ".=here", "=nothing", "0=web-key\n0=again", "0=dir/", "..=x/", "="} {
		t.Run(entry, func(t *testing.T) {
			tr := newTrial(t, imdstest.New(keyed("1=b\n"+entry))).run(t)
			asked := map[string]int{}
			for _, path := range tr.asked() {
				asked[path]++
				segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
				if slices.Contains(segments, "..") || slices.Contains(segments, ".") || slices.Contains(segments, "") {
					t.Errorf("asked for %q", path)
				}
			}
			for path, n := range asked {
				if n > 1 {
					t.Errorf("%s was asked for %d times", path, n)
				}
			}
			keys := tr.object(t, "meta-data.json")["public-keys"].(map[string]any)
			if one, _ := keys["1"].(map[string]any); one["openssh-key"] != "ssh-ed25519 B" || tr.exit != 0 {
				t.Errorf("exit %d, public-keys %v", tr.exit, keys)
			}
			if strings.Contains(entry, ".=") && tr.status.Missing["meta-data/public-keys/"] != "bad-response" {
				t.Errorf("not reported: missing %v", tr.status.Missing)
			}
		})
	}
}

// iam/ may list both x and x/: the directory.
func TestCollectFileAndDirectory(t *testing.T) {
	tree := imdstest.DefaultTree()
	tree["meta-data/placement/group"] = "a file"
	tree["meta-data/placement/group/name"] = "a directory"
	tr := newTrial(t, imdstest.New(tree)).run(t)
	placement := tr.object(t, "meta-data.json")["placement"].(map[string]any)
	if group, _ := placement["group"].(map[string]any); group["name"] != "a directory" || len(tr.status.Missing) != 0 {
		t.Errorf("placement %v, missing %v", placement, tr.status.Missing)
	}
	if slices.Contains(tr.asked(), "meta-data/placement/group") {
		t.Error("the file was asked for")
	}
}

// An empty directory is {}, as everything that was listed has a key.
func TestCollectEmptyDirectory(t *testing.T) {
	tr := faulty(t, "empty@meta-data/tags/instance/").run(t)
	if got := tr.object(t, "tags.json"); len(got) != 0 {
		t.Errorf("tags.json %v", got)
	}
	if got := tr.object(t, "meta-data.json")["tags"]; !reflect.DeepEqual(got, any(map[string]any{"instance": map[string]any{}})) {
		t.Errorf("tags %v", got)
	}
}
