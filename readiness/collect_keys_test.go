// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// treeWithKeys returns the default tree with a listing of public keys.
func treeWithKeys(listing string) imdstest.Tree {
	tree := imdstest.DefaultTree().Without("meta-data/public-keys")
	tree["meta-data/public-keys/"] = listing
	tree["meta-data/public-keys/0/openssh-key"] = "ssh-ed25519 A"
	tree["meta-data/public-keys/1/openssh-key"] = "ssh-ed25519 B"
	return tree
}

// The listing of public keys has "0=name", and the key is at 0/openssh-key.
func TestCollectPublicKeys(t *testing.T) {
	a, b := map[string]any{"name": "web-key", "openssh-key": "ssh-ed25519 A"}, map[string]any{"name": "a=b c", "openssh-key": "ssh-ed25519 B"}
	for _, tt := range []struct {
		name, listing string
		want          map[string]any
	}{
		{"one", "0=web-key", map[string]any{"0": a}},
		{"a name with a slash", "0=team/key", map[string]any{"0": map[string]any{"name": "team/key", "openssh-key": "ssh-ed25519 A"}}},
		{"two, one with an odd name", "0=web-key\n1=a=b c", map[string]any{"0": a, "1": b}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, imdstest.New(treeWithKeys(tt.listing))).run(t)
			if got := tr.object(t, "meta-data.json")["public-keys"]; !reflect.DeepEqual(got, any(tt.want)) {
				t.Errorf("public-keys %v, want %v", got, tt.want)
			}
			if len(tr.status.Missing) != 0 {
				t.Errorf("missing %v", tr.status.Missing)
			}
		})
	}
}

// The part before the "=" is used in a path, so it must be valid.
func TestCollectPublicKeysHostile(t *testing.T) {
	for _, entry := range []string{"..=up", ".=here", "=nothing", "0=web-key\n0=again", "0=dir/", "..=x/", "="} {
		t.Run(entry, func(t *testing.T) {
			tr := newTrial(t, imdstest.New(treeWithKeys("1=b\n"+entry))).run(t)
			requested := map[string]int{}
			for _, path := range tr.requestedPaths() {
				requested[path]++
				segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
				if slices.Contains(segments, "..") || slices.Contains(segments, ".") || slices.Contains(segments, "") {
					t.Errorf("requested %q", path)
				}
			}
			for path, n := range requested {
				if n > 1 {
					t.Errorf("%s was requested %d times", path, n)
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

// If a listing has both x and x/, only the directory is collected.
func TestCollectFileAndDirectory(t *testing.T) {
	tree := imdstest.DefaultTree()
	tree["meta-data/placement/group"] = "a file"
	tree["meta-data/placement/group/name"] = "a directory"
	tr := newTrial(t, imdstest.New(tree)).run(t)
	placement := tr.object(t, "meta-data.json")["placement"].(map[string]any)
	if group, _ := placement["group"].(map[string]any); group["name"] != "a directory" || len(tr.status.Missing) != 0 {
		t.Errorf("placement %v, missing %v", placement, tr.status.Missing)
	}
	if slices.Contains(tr.requestedPaths(), "meta-data/placement/group") {
		t.Error("the leaf was requested")
	}
}

// An empty directory is an empty object, and nothing is missing.
func TestCollectEmptyDirectory(t *testing.T) {
	tr := faulty(t, "empty@meta-data/tags/instance/").run(t)
	if got := tr.object(t, "tags.json"); len(got) != 0 || len(tr.status.Missing) != 0 {
		t.Errorf("tags.json %v, missing %v", got, tr.status.Missing)
	}
	if got := tr.object(t, "meta-data.json")["tags"]; !reflect.DeepEqual(got, any(map[string]any{"instance": map[string]any{}})) {
		t.Errorf("tags %v", got)
	}
}
