// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"user-data", "user-data", true},
		{"user-data", "user-data2", false},
		{"meta-data/tags", "meta-data/tags/", true},
		{"meta-data/tags/", "meta-data/tags/", true},
		{"meta-data/tags/", "meta-data/tags", false},
		{"meta-data/tags", "meta-data/tags/instance", false},
		{"meta-data/tags/**", "meta-data/tags", true},
		{"meta-data/tags/**", "meta-data/tags/", true},
		{"meta-data/tags/**", "meta-data/tags/instance/Name", true},
		{"meta-data/tags/**", "meta-data/tagsx", false},
		{"meta-data/*/instance/*", "meta-data/tags/instance/Name", true},
		{"meta-data/*", "meta-data/tags/instance", false},
		{"**/mac", "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac", true},
		{"**/mac", "mac", true},
		{"**", "", true},
		{"**", "anything/at/all/", true},
		{"meta-data/ami-i?", "meta-data/ami-id", true},
		{"meta-data/[a-c]mi-id", "meta-data/ami-id", true},
		{"", "", true},
		{strings.Repeat("**/", 500) + "x", strings.Repeat("y/", 500) + "y", false}, // and not slow
	} {
		if got := match(tt.glob, tt.path); got != tt.want {
			t.Errorf("match(%.40q, %.40q) = %v, want %v", tt.glob, tt.path, got, tt.want)
		}
	}
}

// An independent library agrees. A final ** that stands for no segment is left
// out, because the library matches a/** with a, but not a*/** with a.
func TestMatchAgreesWithDoublestar(t *testing.T) {
	segments := func(of ...string) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(of), 1, 5), func(s []string) string { return strings.Join(s, "/") })
	}
	globs, paths := segments("a", "ab", "*", "?", "a*", "**"), segments("a", "ab", "b", "abc")
	rapid.Check(t, func(t *rapid.T) {
		glob := globs.Draw(t, "glob") + rapid.SampledFrom([]string{"/a", "/*", "/?b"}).Draw(t, "end")
		path := paths.Draw(t, "path")
		want, err := doublestar.Match(glob, path)
		if err != nil {
			t.Fatal(err)
		}
		if got := match(glob, path); got != want {
			t.Fatalf("match(%q, %q) = %v, doublestar says %v", glob, path, got, want)
		}
	})
}
