// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseListing splits the body of a directory into its entries, each once and
// in the order served; a directory's ends in "/". A listing is data from
// outside: an entry that is "." or "..", has a "/" anywhere but at its end, is
// not UTF-8 or has a control character would lead out of its tree or spoil a
// terminal, and is returned in refused instead.
func ParseListing(body []byte) (entries, refused []string) {
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(body), "\n") {
		switch name := strings.TrimSuffix(line, "/"); {
		case line == "":
		case name == "", name == ".", name == "..", strings.Contains(name, "/"),
			!utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
			refused = append(refused, line)
		case !seen[line]:
			seen[line] = true
			entries = append(entries, line)
		}
	}
	return entries, refused
}
