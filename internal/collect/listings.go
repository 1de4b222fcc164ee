// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
)

// parseListing splits a listing into its entries, each once, and those that it refuses.
// The entries of the listing of public keys are 0=name, 1=name. Only the index becomes
// a part of a path, because the name of a key pair may contain a "/".
//
// Only as many lines are read as a collection can use, and one more: an entry costs
// far more memory than it has bytes.
func parseListing(path string, body []byte) (entries, refused []string) {
	lines, end := 0, 0
	for lines <= maxEntries && end < len(body) {
		if i := bytes.IndexByte(body[end:], '\n'); i >= 0 {
			lines, end = lines+1, end+i+1
		} else {
			end = len(body)
		}
	}
	entries, refused = imds.ParseListing(body[:end])
	if path != paths.PublicKeys {
		return entries, refused
	}
	listed, unfit := entries, refused
	entries, refused = nil, nil
	seen := map[string]bool{}
	add := func(e string, fit bool) {
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
		add(e, true)
	}
	for _, e := range unfit {
		add(e, false)
	}
	return entries, refused
}

// isIndex reports whether s is the number of a public key.
func isIndex(s string) bool { return s != "" && len(s) <= 9 && strings.Trim(s, "0123456789") == "" }

// keyNames converts the entries of the listing of public keys to the paths of the keys,
// and records the names that are included. c.mu is held.
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
