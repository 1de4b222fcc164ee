// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// wanted reports whether a path is in include and not in exclude.
func (c *collection) wanted(path string) bool {
	matches := func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, path) }
	return slices.ContainsFunc(c.Metadata.Include, matches) &&
		!slices.ContainsFunc(c.Metadata.Exclude, matches)
}

// descend reports whether a directory, named with its final "/", can contain a path
// that is wanted. A listing that leads to no such path is not requested.
func (c *collection) descend(dir string) bool {
	name := strings.TrimSuffix(dir, "/")
	for _, pattern := range c.Metadata.Exclude {
		if pattern == "**" {
			return false
		}
		if rest, ok := strings.CutSuffix(pattern, "/**"); ok && doublestar.MatchUnvalidated(rest, name) {
			return false
		}
	}
	return slices.ContainsFunc(c.Metadata.Include, func(pattern string) bool {
		return mayMatchBelow(pattern, name)
	})
}

// mayMatchBelow reports whether a pattern may match a path below a directory: each
// segment of the directory matches, and the pattern has one more segment or a "**". A
// pattern with braces always may, because there may be a "/" in them.
func mayMatchBelow(pattern, dir string) bool {
	if strings.Contains(pattern, "{") {
		return true
	}
	patterns, names := strings.Split(pattern, "/"), strings.Split(dir, "/")
	for i, name := range names {
		switch {
		case i == len(patterns):
			return false
		case patterns[i] == "**":
			return true
		case !doublestar.MatchUnvalidated(patterns[i], name):
			return false
		}
	}
	return len(patterns) > len(names)
}
