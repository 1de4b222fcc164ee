// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// publicKeys lists 0=name, 1=other; the keys are at 0/openssh-key and so on.
const publicKeys = "meta-data/public-keys/"

// takeKeys turns the listing of keys into the paths of the keys, and files their
// names away, as far as they are wanted. Only the index becomes a path, a number
// and once; a key pair's name may well have a "/".
func (c *crawl) takeKeys(listed, unfit []string) (entries, refused []string) {
	for _, e := range slices.Concat(listed, unfit) {
		index, name, isKey := strings.Cut(e, "=")
		key := index + "/openssh-key"
		switch {
		case !isKey && slices.Contains(listed, e):
			entries = append(entries, e)
		case index == "" || strings.Trim(index, "0123456789") != "" || slices.Contains(entries, key),
			!utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
			refused = append(refused, e)
		default:
			entries = append(entries, key)
			if nameAt := publicKeys + index + "/name"; c.wanted(nameAt) {
				c.leaves[nameAt] = []byte(name)
			}
		}
	}
	return entries, refused
}

// isCredentials reports whether a path leads to credentials: these are never
// fetched, not even their listings. A tree that lists itself has them in more
// places than the real one. An instance may have a tag of that name.
func isCredentials(path string) bool {
	segments := strings.Split(path, "/")
	if strings.HasPrefix(path, "meta-data/tags/instance/") && len(segments) == 4 {
		return false
	}
	return slices.ContainsFunc(segments, func(segment string) bool {
		return strings.EqualFold(segment, "security-credentials")
	})
}
