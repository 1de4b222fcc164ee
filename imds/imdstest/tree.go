// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
)

// Tree is what there is to get: a path below the version, such as
// "meta-data/instance-id", and the body there. Directories are implied, and
// their listings computed. A key that ends in "/" is a listing verbatim, for
// those that are not the names of what is below, as that of public-keys/, or
// that lie. A path may be a leaf and a directory at once: its listing then has
// both "x" and "x/", as the real service's has for iam/security-credentials.
type Tree map[string]string

//go:embed default.json
var defaultJSON string

// DefaultTree returns what an ordinary instance in us-east-1 serves: two
// network interfaces, a role, tags, a key, user data, about 90 paths to crawl.
// Names and forms are from the AWS EC2 User Guide, "Instance metadata
// categories"; every identifier and secret in it is made up. The caller owns
// the tree.
func DefaultTree() Tree {
	tree, err := ParseTree(strings.NewReader(defaultJSON))
	if err != nil {
		panic("imdstest: the default tree: " + err.Error()) // a test parses it
	}
	return tree
}

// Clone returns a copy that can be changed by itself.
func (t Tree) Clone() Tree {
	return maps.Clone(t)
}

// Without returns a copy that lacks some paths and everything below them.
func (t Tree) Without(paths ...string) Tree {
	c := t.Clone()
	maps.DeleteFunc(c, func(key, _ string) bool {
		return slices.ContainsFunc(paths, func(p string) bool {
			p = strings.TrimSuffix(p, "/")
			return key == p || strings.HasPrefix(key, p+"/")
		})
	})
	return c
}
