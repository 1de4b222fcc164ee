// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"path"
	"strings"
)

// match reports whether a glob matches a path below the version. ** stands for
// any number of segments, including none; the rest is path.Match, segment by
// segment. A final "/" in the glob must be in the path too; one in the path alone
// is ignored, so that a directory is matched together with its listing.
//
// Its cost is the product of both lengths, whatever the glob.
func match(glob, p string) bool {
	if !strings.HasSuffix(glob, "/") {
		p = strings.TrimSuffix(p, "/")
	}
	segments := strings.Split(p, "/")
	// reached[j] says whether the globs so far can match the first j segments.
	reached := make([]bool, len(segments)+1)
	reached[0] = true
	for g := range strings.SplitSeq(glob, "/") {
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
