// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// maxSegments is the maximum number of segments of a path. The crawl already stops at 12.
const maxSegments = 32

// kind is the type of a leaf. It depends only on the path and never on the content, so that
// programs can rely on it.
type kind int

const (
	kindText     kind = iota // a string, as served
	kindLines                // an array of strings
	kindDocument             // the JSON value that is served
)

// kindOf returns the type of the leaf at segs, which are below meta-data. The keys are
// those of the AWS EC2 User Guide, "Instance metadata categories".
func kindOf(segs []string) kind {
	switch strings.Join(segs, "/") {
	case "ancestor-ami-ids", "product-codes", "security-groups":
		return kindLines
	case "iam/info", "identity-credentials/ec2/info", "spot/instance-action",
		"events/recommendations/rebalance":
		return kindDocument
	}
	if len(segs) == 3 && segs[0] == "events" && segs[1] == "maintenance" {
		return kindDocument
	}
	if len(segs) >= 5 && isInterface(segs[:4]) {
		return interfaceKind(segs[4:])
	}
	return kindText
}

// IsDocument reports whether a path below the version holds a JSON document.
func IsDocument(path string) bool {
	key, below := strings.CutPrefix(path, paths.MetaData)
	return path == paths.Identity || below && kindOf(strings.Split(key, "/")) == kindDocument
}

// isInterface reports whether segs are network/interfaces/macs/MAC.
func isInterface(segs []string) bool {
	return len(segs) == 4 && segs[0] == "network" && segs[1] == "interfaces" && segs[2] == "macs"
}

// interfaceKind returns the type of the leaf at segs, which are below an interface.
func interfaceKind(segs []string) kind {
	if len(segs) == 2 && segs[0] == "ipv4-associations" {
		return kindLines // the private addresses of one public address
	}
	if len(segs) != 1 {
		return kindText
	}
	switch segs[0] {
	case "security-groups", "security-group-ids", "local-ipv4s", "public-ipv4s", "ipv6s",
		"ipv4-prefix", "ipv6-prefix":
		return kindLines
	}
	// For example vpc-ipv4-cidr-blocks, whereas vpc-ipv4-cidr-block is one string.
	if strings.HasSuffix(segs[0], "-cidr-blocks") {
		return kindLines
	}
	return kindText
}

// checkPath returns the error class of a path, or "" if the path can be a key in a file. It
// rejects the paths that the crawl rejects, because listings are untrusted data.
func checkPath(path string) (class string) {
	if !utf8.ValidString(path) {
		return classNotUTF8
	}
	segs := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if len(segs) > maxSegments || strings.ContainsFunc(path, unicode.IsControl) {
		return classBadResponse
	}
	for _, s := range segs {
		if s == "" || s == "." || s == ".." {
			return classBadResponse
		}
	}
	return ""
}
