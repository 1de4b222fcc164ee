// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"maps"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/internal/paths"
)

// FuzzBuild checks that for any paths and bodies, every file is valid according to its
// schema, and that the same input gives the same files. Three leaves are enough for any
// conflict; realistic says whether they are added to a realistic tree.
func FuzzBuild(f *testing.F) {
	tree := instance(f)
	schemas := schematest.Load(f)
	add := func(realistic bool, leaves ...string) {
		for len(leaves) < 6 {
			leaves = append(leaves, "")
		}
		f.Add(realistic, leaves[0], []byte(leaves[1]), leaves[2], []byte(leaves[3]), leaves[4], []byte(leaves[5]))
	}
	add(false)
	add(true, "meta-data/instance-id/", "", "meta-data/iam/info/x", "", "meta-data/mac", "m")
	add(true, "meta-data/network", "x", "meta-data/network/interfaces/macs", "y", "meta-data/public-keys/0", "z")
	add(false, "meta-data/..", "", "meta-data/../x", "a", "meta-data//", "b")
	add(false, "", "x", "/", "y", "//", "z")
	add(false, "meta-data/\xff", "\xff", "meta-data/\x00", "\x00", "meta-data/\u2028", "\u2028")
	add(false, "meta-data/"+strings.Repeat("a/", 100), "", "meta-data/"+strings.Repeat("b", 5000), "c")
	add(false, paths.Identity, `{"instanceId": "i-1\n", "a": 1e999}`, "meta-data/iam/info", "[[[[]]]]", "user-data", "x")
	add(false, "meta-data/network/interfaces/macs/m/device-number", "-0", "meta-data/mac", "m",
		"meta-data/network/interfaces/macs/m/vpc-id", "vpc 1")
	add(false, "meta-data/network/interfaces/macs/m/-cidr-blocks", "a\n\n", "meta-data/events/maintenance/", "",
		"meta-data/identity-credentials/x/security-credentials/y", "z")
	f.Fuzz(func(t *testing.T, realistic bool, k1 string, v1 []byte, k2 string, v2 []byte, k3 string, v3 []byte) {
		in := map[string][]byte{}
		if realistic {
			in = maps.Clone(tree)
		}
		in[k1], in[k2], in[k3] = v1, v2, v3
		checkBuild(t, schemas, in)
	})
}
