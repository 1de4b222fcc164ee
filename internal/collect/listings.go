// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
)

// parseListing splits a listing into entries, each once, and what cannot be one.
// The listing of public keys has 0=name, 1=name, and its entries stay so: only the
// index becomes a path, since the name of a key pair may contain a "/".
func parseListing(path string, body []byte) (entries, refused []string) {
	entries, refused = imds.ParseListing(body)
	if path != paths.PublicKeys {
		return entries, refused
	}
	listed, unfit := entries, refused
	entries, refused = nil, nil
	seen := map[string]bool{}
	take := func(e string, fit bool) {
		index, name, isKey := strings.Cut(e, "=")
		switch {
		case !isKey && fit:
			entries = append(entries, e)
		case !isKey, seen[index], !isIndex(index), !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
			refused = append(refused, e)
		default:
			seen[index] = true
			entries = append(entries, e)
		}
	}
	for _, e := range listed {
		take(e, true)
	}
	for _, e := range unfit {
		take(e, false)
	}
	return entries, refused
}

// isIndex reports whether s is the number of a public key.
func isIndex(s string) bool { return s != "" && len(s) <= 9 && strings.Trim(s, "0123456789") == "" }

// keyNames turns the entries of the listing of public keys into the paths of the
// keys, and records their names as far as they are included. c.mu is held.
func (c *collection) keyNames(entries []string) []string {
	keys := make([]string, 0, len(entries))
	for _, e := range entries {
		index, name, isKey := strings.Cut(e, "=")
		if !isKey {
			keys = append(keys, e)
			continue
		}
		keys = append(keys, index+"/openssh-key")
		if at := paths.PublicKeys + index + "/name"; c.wanted(at) {
			c.leaves[at] = []byte(name)
		}
	}
	return keys
}
