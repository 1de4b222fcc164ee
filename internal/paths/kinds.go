// SPDX-License-Identifier: Apache-2.0

package paths

import "strings"

// Kind is the type of a leaf. It depends only on the path and never on the content, so that
// programs can rely on it.
type Kind int

const (
	Text     Kind = iota // a string, as served
	Lines                // an array of strings
	Document             // the JSON value that is served
)

// MaxNesting is the maximum depth of nested objects and arrays in one [Document]. IMDS
// serves two or three levels. Without a limit, 256 KiB of "[" would become 60 MiB of
// indentation.
const MaxNesting = 16

// KindOf returns the type of the leaf at segs, which are below meta-data. The keys are
// those of the AWS EC2 User Guide, "Instance metadata categories".
func KindOf(segs []string) Kind {
	switch strings.Join(segs, "/") {
	case "ancestor-ami-ids", "product-codes", "security-groups":
		return Lines
	case "iam/info", "identity-credentials/ec2/info", "spot/instance-action",
		"events/recommendations/rebalance":
		return Document
	}
	if len(segs) == 3 && segs[0] == "events" && segs[1] == "maintenance" {
		return Document
	}
	if len(segs) >= 5 && isInterface(segs[:4]) {
		return interfaceKind(segs[4:])
	}
	return Text
}

// IsDocument reports whether a path below the version holds a JSON document.
func IsDocument(path string) bool {
	key, below := strings.CutPrefix(path, MetaData)
	return path == Identity || below && KindOf(strings.Split(key, "/")) == Document
}

// isInterface reports whether segs are network/interfaces/macs/MAC.
func isInterface(segs []string) bool {
	return len(segs) == 4 && segs[0] == "network" && segs[1] == "interfaces" && segs[2] == "macs"
}

// interfaceKind returns the type of the leaf at segs, which are below an interface.
func interfaceKind(segs []string) Kind {
	if len(segs) == 2 && segs[0] == "ipv4-associations" {
		return Lines // the private addresses of one public address
	}
	if len(segs) != 1 {
		return Text
	}
	switch segs[0] {
	case "security-groups", "security-group-ids", "local-ipv4s", "public-ipv4s", "ipv6s",
		"ipv4-prefix", "ipv6-prefix":
		return Lines
	}
	// For example vpc-ipv4-cidr-blocks, whereas vpc-ipv4-cidr-block is one string.
	if strings.HasSuffix(segs[0], "-cidr-blocks") {
		return Lines
	}
	return Text
}

// SplitLines splits a list into its lines. IMDS separates them by LF, without a final one.
// Other servers also end the last line, or use CRLF. An empty body is an empty list.
func SplitLines(s string) []string {
	s = Chomp(s)
	if s == "" {
		return []string{}
	}
	list := strings.Split(s, "\n")
	for i, line := range list {
		list[i] = strings.TrimSuffix(line, "\r")
	}
	return list
}

// Chomp returns s without a final LF or CRLF, which other servers than IMDS add.
func Chomp(s string) string {
	if line, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(line, "\r")
	}
	return s
}
