// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"maps"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// The limits of status.json. Together they are well below [snapshot.MaxStatus], so that
// readers accept the file regardless of the answers of IMDS. Except for maxEntries, they are
// in bytes of JSON.
const (
	maxEntries = 512       // of each object
	maxMissing = 256 << 10 // of missing
	maxOthers  = 128 << 10 // of each of required, errors and files
	maxMessage = 1 << 10   // of the message of last_error
	maxText    = 4 << 10   // of every other text
)

// bounded returns st in the form of [snapshot.Status.Normal] and within the limits. Entries
// of `missing` that do not fit are counted in missing_more.
func bounded(st snapshot.Status) snapshot.Status {
	st = st.Normal()
	var more int
	st.Missing, more = shallowest(st.Missing, maxMissing)
	st.MissingMore += more
	st.Required, _ = shallowest(st.Required, maxOthers)
	st.Errors, _ = shallowest(st.Errors, maxOthers)
	st.Files, _ = shallowest(st.Files, maxOthers)
	st.Changed = st.Changed[:min(len(st.Changed), len(order()))]
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

// shallowest returns at most 512 entries of m that fit in a number of bytes of JSON, and how
// many do not. Entries are chosen by depth, those nearest to the root first, and then by
// name, because the failure of a listing matters more than failures below it.
func shallowest[V any](m map[string]V, bytes int) (map[string]V, int) {
	if len(m) <= maxEntries {
		if all, err := encode(m); err == nil && len(all) <= bytes {
			return m, 0
		}
	}
	kept := map[string]V{}
	for _, path := range slices.SortedFunc(maps.Keys(m), paths.CompareDepth) {
		if len(kept) == maxEntries {
			break
		}
		if len(path) > bytes {
			continue
		}
		// The size includes the braces around the entry, which is at least as much as the
		// deeper indentation in status.json.
		entry, err := encode(map[string]V{path: m[path]})
		if err == nil && len(entry) <= bytes {
			bytes -= len(entry)
			kept[path] = m[path]
		}
	}
	return kept, len(m) - len(kept)
}

// shorten cuts s so that its JSON has at most that many bytes, including the final "...".
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
