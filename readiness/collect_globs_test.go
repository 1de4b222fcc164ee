// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"
)

// The requests for some globs. Listings that cannot lead to a wanted path are not
// requested.
func TestCollectGlobs(t *testing.T) {
	const macs = "meta-data/network/interfaces/macs/"
	const mac0, mac1 = macs + "06:2f:8e:77:19:b4/", macs + "0e:49:61:0f:c3:11/"
	for _, tt := range []struct {
		name             string
		include, exclude []string
		listings, leaves []string
	}{
		{"nothing", nil, nil, nil, nil},
		{"one leaf", []string{"meta-data/instance-id"}, nil, []string{"meta-data/"}, []string{"meta-data/instance-id"}},
		{
			"a directory",
			[]string{"meta-data/placement/**"},
			nil,
			[]string{"meta-data/", "meta-data/placement/"},
			[]string{"meta-data/placement/availability-zone", "meta-data/placement/availability-zone-id", "meta-data/placement/region"},
		},
		{
			"a leaf below any interface",
			[]string{macs + "*/vpc-id"},
			nil,
			[]string{"meta-data/", "meta-data/network/", "meta-data/network/interfaces/", macs, mac0, mac1},
			[]string{mac0 + "vpc-id", mac1 + "vpc-id"},
		},
		{
			"one segment, no directory",
			[]string{"meta-data/i*", "meta-data/placement"},
			nil,
			[]string{"meta-data/"},
			[]string{"meta-data/instance-action", "meta-data/instance-id", "meta-data/instance-life-cycle", "meta-data/instance-type", "meta-data/ipv6"},
		},
		{"a directory that does not exist", []string{"meta-data/spot/**"}, nil, []string{"meta-data/"}, nil},
		{"everything excluded", []string{"meta-data/**"}, []string{"meta-data/**"}, nil, nil},
		{"everything excluded by **", []string{"**"}, []string{"**"}, nil, nil},
		{
			"one segment, one excluded",
			[]string{"meta-data/placement/*", "meta-data/services/*"},
			[]string{"meta-data/placement/region", "meta-data/services/**"},
			[]string{"meta-data/", "meta-data/placement/"},
			[]string{"meta-data/placement/availability-zone", "meta-data/placement/availability-zone-id"},
		},
		{
			"a name anywhere",
			[]string{"meta-data/**/region"},
			[]string{"meta-data/{network,iam,identity-credentials,public-keys,tags,events,block-device-mapping}/**", "meta-data/[ams]*/**"},
			[]string{"meta-data/", "meta-data/placement/"},
			[]string{"meta-data/placement/region"},
		},
		{"public keys", []string{"meta-data/public-keys/**"}, nil, []string{"meta-data/", "meta-data/public-keys/"}, []string{"meta-data/public-keys/0/openssh-key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, "")
			tr.config.Metadata.Include, tr.config.Metadata.Exclude = tt.include, tt.exclude
			tr.run(t)
			var listings, leaves []string
			for _, path := range tr.requestedPaths()[1:] {
				if strings.HasSuffix(path, "/") {
					listings = append(listings, path)
				} else {
					leaves = append(leaves, path)
				}
			}
			slices.Sort(listings)
			slices.Sort(leaves)
			if !slices.Equal(listings, tt.listings) || !slices.Equal(leaves, tt.leaves) {
				t.Errorf("listings %q, leaves %q", listings, leaves)
			}
			if tr.exit != 0 || len(tr.status.Missing) != 0 {
				t.Errorf("exit %d, missing %v", tr.exit, tr.status.Missing)
			}
		})
	}
}

// If a part of the tree is excluded, the rest is collected, and the file of the part is not
// written.
func TestCollectExclude(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.Exclude = []string{"meta-data/tags/**", "meta-data/network/**"}
	tr.run(t)
	all := faulty(t, "").run(t)
	want := slices.DeleteFunc(all.requestedPaths(), func(path string) bool {
		return strings.HasPrefix(path, "meta-data/tags/") || strings.HasPrefix(path, "meta-data/network/")
	})
	got := tr.requestedPaths()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("requested %q, want %q", got, want)
	}
	if names := tr.names(t); slices.Contains(names, "tags.json") || slices.Contains(names, "network.json") {
		t.Errorf("files %q", names)
	}
}

// A required path is in the files, even if include does not match it.
func TestCollectRequiredIsIncluded(t *testing.T) {
	tr := faulty(t, "").require("meta-data/instance-id", required)
	tr.config.Metadata.Include = []string{"meta-data/mac"}
	tr.run(t)
	got := tr.object(t, "meta-data.json")
	if len(got) != 3 || got["instance-id"] != "i-0123456789abcdef0" || got["mac"] != "0e:49:61:0f:c3:11" || got["tags"] == nil {
		t.Errorf("meta-data.json %v", got)
	}
}
