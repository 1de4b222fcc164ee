// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// FuzzMerge builds two collections of any paths and bodies, of which the second one fails at
// up to two paths. It checks that the files are valid, that they contain each new value, that
// each other value is from the first collection, that old values are kept only after a
// failure, and that merging the result again does not change it.
func FuzzMerge(f *testing.F) {
	schemas := schematest.Load(f)
	const macs, info = "meta-data/network/interfaces/macs/", "meta-data/iam/info"
	f.Add("meta-data/a", []byte("1"), "meta-data/d/x", []byte("2"), "meta-data/b", []byte("3"), "meta-data/a", "meta-data/d/")
	f.Add("meta-data/d/x", []byte("1"), "meta-data/d/y", []byte("2"), "meta-data/d", []byte("3"), "meta-data/d/x", "meta-data/")
	f.Add("meta-data/d", []byte("1"), "meta-data/e", []byte("2"), "meta-data/d/x/y", []byte("3"), "meta-data/d", "meta-data/d/")
	f.Add(info, []byte(`{"Code": "Success", "a": [1, {}]}`), "meta-data/security-groups", []byte("a\nb"), info+"/", []byte(""), info, "meta-data/security-groups")
	f.Add(macs+"m/device-number", []byte("0"), macs+"m/vpc-id", []byte("v"), macs+"m/device-number", []byte("x"), macs, macs+"m/vpc-id")
	f.Add("meta-data/tags/instance/Name", []byte("n"), "meta-data/public-keys/0/name", []byte("k"), "meta-data/tags/", []byte(""), "meta-data/tags/instance/", "meta-data/public-keys/")
	f.Add("user-data", []byte("\xff"), paths.Identity, []byte(`{"instanceId": "i-1"}`), signaturePath("pkcs7"), []byte("p"), "user-data", paths.Identity)
	f.Add("meta-data/..", []byte(""), "meta-data//", []byte("x"), "meta-data/\xff", []byte("\xff"), "meta-data/../", "")
	f.Fuzz(func(t *testing.T, k1 string, v1 []byte, k2 string, v2 []byte, k3 string, v3 []byte, m1, m2 string) {
		first, _ := build(map[string][]byte{k1: v1, k2: v2})
		c := Collection{Leaves: map[string][]byte{k3: v3}, Missing: map[string]string{m1: "503", m2: "503"}}
		fresh, _ := Build(c)
		c.Previous = after(t, first, nil)
		merged, _ := Build(c)
		for name, file := range merged.Files(snapshot.Ready) {
			if strings.HasSuffix(name, ".json") {
				schemas.Check(t, name, file.Data)
			}
		}
		values := func(s Snapshot) map[string]string {
			found := map[string]string{}
			for name, node := range after(t, s, nil).metaData {
				leavesOf(name, node, found)
			}
			return found
		}
		old, now := values(first), values(merged)
		for path, value := range values(fresh) {
			if now[path] != value {
				t.Errorf("%q is %q, and %q was just served", path, now[path], value)
			}
			delete(now, path)
		}
		for path, value := range now {
			if was, ok := old[path]; !ok || was != value {
				t.Errorf("%q has %q, which was never served", path, value)
			}
		}
		c.Previous = after(t, merged, c.Missing)
		if again, _ := Build(c); !maps.EqualFunc(again.files, merged.files, sameFile) {
			t.Errorf("merging again gives\n%s\nafter\n%s", again.files[snapshot.MetaDataFile].Data, merged.files[snapshot.MetaDataFile].Data)
		}
		c.Previous, c.Missing = after(t, first, nil), nil
		intact, problems := Build(c)
		if c.Previous = nil; len(problems) == 0 {
			if alone, _ := Build(c); !maps.EqualFunc(intact.files, alone.files, sameFile) {
				t.Errorf("nothing failed, but old values stay:\n%s", intact.files[snapshot.MetaDataFile].Data)
			}
		}
	})
}

func sameFile(a, b File) bool { return bytes.Equal(a.Data, b.Data) && a.Secret == b.Secret }
