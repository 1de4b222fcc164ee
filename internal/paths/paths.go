// SPDX-License-Identifier: Apache-2.0

// Package paths names the paths of IMDS that have a meaning of their own. A
// path is below the version, without a leading slash; a directory ends in "/"
// (AWS EC2 User Guide, "Instance metadata categories").
package paths

import (
	"cmp"
	"slices"
	"strings"
)

const (
	// IdentityDir has the instance identity document and its signatures.
	IdentityDir = "dynamic/instance-identity/"
	// Identity is the instance identity document.
	Identity = IdentityDir + "document"
	// UserData is what the instance was launched with.
	UserData = "user-data"
	// MetaData is the root of the tree.
	MetaData = "meta-data/"
	// Roles lists the role of the instance profile. It is the one listing of
	// credentials that may be required: to wait for a role that works.
	Roles = MetaData + "iam/security-credentials/"
	// RoleInfo describes the instance profile and whether its role works.
	RoleInfo = MetaData + "iam/info"
	// PublicKeys lists 0=name, 1=name; the keys are at 0/openssh-key and so on.
	PublicKeys = MetaData + "public-keys/"
	// Tags has the instance's tags, if they are enabled in the metadata options.
	Tags = MetaData + "tags/instance/"
	// Macs has a directory for each network interface.
	Macs = MetaData + "network/interfaces/macs/"
)

// Signatures returns the paths of the signatures of the identity document, sorted.
func Signatures() []string {
	return []string{IdentityDir + "pkcs7", IdentityDir + "rsa2048", IdentityDir + "signature"}
}

// IsCredentials reports whether a path names credentials, or a listing of
// them, or something below it, in any case of letters. They are never fetched,
// and never written to a file; only [Roles] may be required, and nothing of it
// is kept. A tree that lists itself has credentials in more places than the real
// one, so every segment counts. An instance may have a tag of that name.
func IsCredentials(path string) bool {
	if tag, ok := strings.CutPrefix(path, Tags); ok && !strings.Contains(tag, "/") {
		return false
	}
	return slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		return strings.EqualFold(segment, "security-credentials")
	})
}

// CompareDepth compares two paths for [slices.SortFunc]: by depth, those nearest to the
// root first, and then by name.
func CompareDepth(a, b string) int {
	depth := func(path string) int { return strings.Count(strings.TrimSuffix(path, "/"), "/") }
	return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a, b))
}
