// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// expectedMetaData returns the meta-data.json of a tree, with the types of
// imds-ready-files(5) and without credentials.
func expectedMetaData(t *testing.T, tree imdstest.Tree) map[string]any {
	root := map[string]any{}
	for path, body := range tree {
		path, ok := strings.CutPrefix(path, "meta-data/")
		if !ok || strings.Contains(path, "security-credentials") {
			continue
		}
		dir, segments := root, strings.Split(path, "/")
		for _, s := range segments[:len(segments)-1] {
			if dir[s] == nil {
				dir[s] = map[string]any{}
			}
			dir = dir[s].(map[string]any)
		}
		last := segments[len(segments)-1]
		switch {
		case last == "": // the listing of public-keys, with the name of the only key
			_, name, _ := strings.Cut(body, "=")
			dir["0"] = map[string]any{"name": name, "openssh-key": strings.TrimSuffix(tree["meta-data/public-keys/0/openssh-key"], "\n")}
		case segments[0] == "public-keys":
		case isDocument(path):
			var v any
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
			dir[last] = v
		case isLines(segments):
			dir[last] = lines(body)
		default:
			dir[last] = body
		}
	}
	return root
}

func isDocument(path string) bool {
	return slices.Contains([]string{"iam/info", "identity-credentials/ec2/info"}, path) || strings.HasPrefix(path, "events/")
}

func isLines(segments []string) bool {
	last := segments[len(segments)-1]
	if segments[0] != "network" {
		return slices.Contains([]string{"security-groups", "product-codes"}, last)
	}
	return strings.HasSuffix(last, "-cidr-blocks") || slices.Contains(segments, "ipv4-associations") || slices.Contains([]string{
		"security-groups", "security-group-ids", "local-ipv4s", "public-ipv4s", "ipv6s", "ipv4-prefix",
	}, last)
}

func lines(body string) []any {
	var all []any
	for line := range strings.SplitSeq(body, "\n") {
		all = append(all, line)
	}
	return all
}

// The files have the values of the default tree, and nothing is missing.
func TestCollectFiles(t *testing.T) {
	tr := faulty(t, "").run(t)
	if got := tr.names(t); !slices.Equal(got, everything) || len(tr.status.Missing) != 0 {
		t.Errorf("files %q, missing %v", got, tr.status.Missing)
	}
	if got, want := tr.object(t, "meta-data.json"), expectedMetaData(t, imdstest.DefaultTree()); !reflect.DeepEqual(got, want) {
		t.Errorf("meta-data.json:\n%v\nwant:\n%v", got, want)
	}
	var identity map[string]any
	if err := json.Unmarshal([]byte(imdstest.DefaultTree()[readiness.IdentityPath]), &identity); err != nil {
		t.Fatal(err)
	}
	if got := tr.object(t, "identity.json"); !reflect.DeepEqual(got, identity) {
		t.Errorf("identity.json %v", got)
	}
	if got := tr.object(t, "tags.json"); !maps.Equal(got, map[string]any{
		"Name": "web-1", "Environment": "production", "cost:center": `R&D, "42" = 6*7`,
	}) {
		t.Errorf("tags.json %v", got)
	}
	if n := len(tr.object(t, "network.json")["interfaces"].([]any)); n != 2 {
		t.Errorf("network.json has %d interfaces", n)
	}
	for _, line := range []string{"IMDS_INSTANCE_ID=i-0123456789abcdef0", "IMDS_VPC_ID=vpc-0a1b2c3d4e5f60031"} {
		if !strings.Contains(tr.file(t, "imds.env"), line+"\n") {
			t.Errorf("imds.env lacks %s", line)
		}
	}
	if got := slices.Sorted(maps.Keys(tr.status.Files)); !slices.Equal(append(got, "status.json"), slices.Concat(everything[:4], everything[5:], everything[4:5])) {
		t.Errorf("status lists %q", got)
	}
}

// The collection requests required paths once more, and other paths once.
func TestCollectRequestsRequiredPathsAgain(t *testing.T) {
	tr := faulty(t, "").require("meta-data/mac", "meta-data/iam/info", "meta-data/placement/", required, "meta-data/public-keys/0/openssh-key").run(t)
	if got, want := tr.object(t, "meta-data.json"), expectedMetaData(t, imdstest.DefaultTree()); !reflect.DeepEqual(got, want) {
		t.Errorf("meta-data.json:\n%v\nwant:\n%v", got, want)
	}
	count := map[string]int{}
	for _, path := range tr.requestedPaths() {
		count[path]++
	}
	for path, n := range count {
		want := 1
		if _, required := tr.status.Required[path]; required && path != readiness.IdentityPath {
			want = 2
		}
		if n != want {
			t.Errorf("%s was requested %d times, want %d", path, n, want)
		}
	}
}

// If a required path fails in the collection, the value of the gate is used. Otherwise
// the newer value is used.
func TestCollectKeepsTheGatesValue(t *testing.T) {
	tr := faulty(t, "ok@meta-data/macx1,503@meta-data/mac").require("meta-data/mac").run(t)
	if got := tr.object(t, "meta-data.json")["mac"]; got == nil || len(tr.status.Missing) != 0 {
		t.Errorf("mac %v, missing %v", got, tr.status.Missing)
	}
	tr = faulty(t, "body=aa@meta-data/macx1,body=bb@meta-data/mac").require("meta-data/mac").run(t)
	if got := tr.object(t, "meta-data.json")["mac"]; got != "bb" {
		t.Errorf("mac %v, want the value of the collection", got)
	}
	// A value that the gate does not accept is no newer value.
	tr = faulty(t, "body=aa@meta-data/macx1,body=bb@meta-data/mac").require("meta-data/mac")
	tr.config.Require[1].Equals = []string{"aa"}
	if got := tr.run(t).object(t, "meta-data.json")["mac"]; got != "aa" || len(tr.status.Missing) != 0 || len(tr.logged("WARN")) != 0 {
		t.Errorf("mac %v, missing %v, warnings %q, want the value of the gate", got, tr.status.Missing, tr.logged("WARN"))
	}
	// If the boot continues without the value, the files have what was served.
	tr = faulty(t, "").require("meta-data/mac").limits(0, time.Second)
	tr.config.Require[1].Equals, tr.config.OnTimeout = []string{"aa"}, readiness.Continue
	want := imdstest.DefaultTree()["meta-data/mac"]
	if got := tr.run(t).object(t, "meta-data.json")["mac"]; got != want || tr.status.State != "degraded" {
		t.Errorf("state %s, mac %v, want %s", tr.status.State, got, want)
	}
}

// user-data and the signatures are requested only if they are configured, and are secret.
func TestCollectSecretFiles(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.UserData, tr.config.Metadata.Signatures = true, true
	tr.run(t)
	tree := imdstest.DefaultTree()
	if got := tr.file(t, "user-data"); got != tree["user-data"] {
		t.Errorf("user-data %q", got)
	}
	const where = "dynamic/instance-identity/"
	if got := tr.object(t, "signatures.json"); !maps.Equal(got, map[string]any{
		"document": tree[where+"document"], "pkcs7": tree[where+"pkcs7"], "rsa2048": tree[where+"rsa2048"], "signature": tree[where+"signature"],
	}) {
		t.Errorf("signatures.json %v", got)
	}
	for _, name := range []string{"user-data", "signatures.json"} {
		info, err := os.Stat(filepath.Join(tr.dir, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if sum, ok := tr.status.Files[name]; !ok || sum != nil {
			t.Errorf("%s: listed with %v", name, sum)
		}
	}
	for _, path := range faulty(t, "").run(t).requestedPaths() {
		if path == "user-data" || strings.HasPrefix(path, where) && path != readiness.IdentityPath {
			t.Errorf("%s was requested", path)
		}
	}
}

// If there is no user-data, there is no file and nothing is missing. Binary user-data is
// stored unchanged.
func TestCollectUserData(t *testing.T) {
	for body, files := range map[string]int{"": len(everything), "\x1f\x8b\x00\xff": len(everything) + 1} {
		tree := imdstest.DefaultTree().Without("user-data")
		if body != "" {
			tree["user-data"] = body
		}
		tr := newTrial(t, imdstest.New(tree))
		tr.config.Metadata.UserData = true
		tr.run(t)
		if len(tr.names(t)) != files || len(tr.status.Missing) != 0 {
			t.Errorf("files %q, missing %v", tr.names(t), tr.status.Missing)
		}
		if body != "" && tr.file(t, "user-data") != body {
			t.Errorf("user-data %q", tr.file(t, "user-data"))
		}
	}
}
