// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// takeKeys turns the listing of keys into the paths of the keys, and files their
// names away, as far as they are wanted. Only the index becomes a path, a number
// and once; a key pair's name may well have a "/".
func (c *collection) takeKeys(listed, unfit []string) (entries, refused []string) {
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
			if nameAt := paths.PublicKeys + index + "/name"; c.wanted(nameAt) {
				c.leaves[nameAt] = []byte(name)
			}
		}
	}
	return entries, refused
}
