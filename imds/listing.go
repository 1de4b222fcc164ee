// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxEntryBytes is the longest entry of a listing, the same as NAME_MAX of Linux.
const maxEntryBytes = 255

// ParseListing splits the body of a directory into its entries, each once and
// in the order served; those of directories end in "/". Lines end in LF or CRLF. A
// listing is untrusted: an entry that is "." or "..", contains a "/" except at its
// end, is not UTF-8, has a control character or is longer than 255 bytes could lead
// out of its tree or garble a terminal. Such entries are returned in refused.
func ParseListing(body []byte) (entries, refused []string) {
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(body), "\n") {
		line = strings.TrimSuffix(line, "\r")
		switch name := strings.TrimSuffix(line, "/"); {
		case line == "":
		case len(line) > maxEntryBytes, name == "", name == ".", name == "..", strings.Contains(name, "/"),
			!utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
			refused = append(refused, line)
		case !seen[line]:
			seen[line] = true
			entries = append(entries, line)
		}
	}
	return entries, refused
}
