// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/snapshot"
)

// The bounds of status.json, in entries and in bytes of JSON. Together they are well
// below [snapshot.MaxStatus], whatever was served: what the writer writes, the
// readers read.
const (
	maxEntries = 512
	maxMissing = 256 << 10
	maxOthers  = 128 << 10 // required, errors and files, each
	maxMessage = 1 << 10
	maxText    = 4 << 10 // every other text
)

// bounded returns st as it is written: in the form of [snapshot.Status.Normal], within
// the bounds. Entries of `missing` beyond them are counted in missing_more.
func bounded(st snapshot.Status) snapshot.Status {
	st = st.Normal()
	var more int
	st.Missing, more = shallowest(st.Missing, maxMissing)
	st.MissingMore += more
	st.Required, _ = shallowest(st.Required, maxOthers)
	st.Errors, _ = shallowest(st.Errors, maxOthers)
	st.Files, _ = shallowest(st.Files, maxOthers)
	st.BootID, st.Version = shorten(st.BootID, maxText), shorten(st.Version, maxText)
	if st.Endpoint != nil {
		st.Endpoint = new(shorten(*st.Endpoint, maxText))
	}
	if last := st.LastError; last != nil {
		st.LastError = &snapshot.LastError{
			At: last.At, Class: shorten(last.Class, maxText), Hint: shorten(last.Hint, maxText),
			Message: shorten(last.Message, maxMessage), Path: shorten(last.Path, maxText),
		}
	}
	return st
}

// shallowest returns the entries of m that fit in a number of bytes of JSON, at most
// 512, and how many do not. Paths nearest to the root come first, then by name: the
// failure of a listing says more than those below it.
func shallowest[V any](m map[string]V, bytes int) (map[string]V, int) {
	kept := map[string]V{}
	depth := func(path string) int { return strings.Count(strings.TrimSuffix(path, "/"), "/") }
	for _, path := range slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a, b))
	}) {
		if len(kept) == maxEntries {
			break
		}
		if len(path) > bytes {
			continue
		}
		// The object around the entry makes up for the deeper indentation in status.json.
		entry, err := encode(map[string]V{path: m[path]})
		if err == nil && len(entry) <= bytes {
			bytes -= len(entry)
			kept[path] = m[path]
		}
	}
	return kept, len(m) - len(kept)
}

// shorten cuts s so that its JSON has at most that many bytes, the mark "..." included.
func shorten(s string, bytes int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if escapedSize(s) <= bytes {
		return s
	}
	size := escapedSize("...")
	for i, r := range s {
		if size += escapedSize(string(r)) - escapedSize(""); size > bytes {
			return s[:i] + "..."
		}
	}
	return s
}
