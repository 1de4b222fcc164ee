// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"path"
	"strings"
)

// match reports whether a glob matches a path below the version. ** stands for
// any number of segments, none included; the rest is path.Match, segment by
// segment. A final "/" in the glob wants one in the path; one in the path alone
// is ignored, so that a directory is matched with its listing.
func match(glob, p string) bool {
	if !strings.HasSuffix(glob, "/") {
		p = strings.TrimSuffix(p, "/")
	}
	return matchSegments(strings.Split(glob, "/"), strings.Split(p, "/"))
}

// matchSegments matches by rows: reached[j] says whether the globs so far can
// have used up the first j segments. Its cost is the product of both lengths,
// so no glob can blow it up.
func matchSegments(globs, segments []string) bool {
	reached := make([]bool, len(segments)+1)
	reached[0] = true
	for _, g := range globs {
		next := make([]bool, len(segments)+1)
		for j := range next {
			switch {
			case g == "**":
				next[j] = reached[j] || j > 0 && next[j-1]
			case j > 0 && reached[j-1]:
				ok, err := path.Match(g, segments[j-1])
				next[j] = ok && err == nil
			}
		}
		reached = next
	}
	return reached[len(segments)]
}
