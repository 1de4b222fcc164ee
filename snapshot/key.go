// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
)

// ErrBadKey means that a key is malformed, so that it cannot be in any file.
var ErrBadKey = errors.New("invalid key")

// The limits of a key. The crawl is at most 12 levels deep, and a JSON document in a
// leaf adds at most 16 more.
const (
	maxKeySegments = 64
	maxKeyBytes    = 4 << 10
)

// The first segments of keys. The identity document is not part of the meta-data tree.
const (
	identityRoot = "identity"
	metaDataRoot = "meta-data"
)

// CheckKey returns nil if key is valid for [Values.Lookup]: at most 4 KiB of UTF-8
// without control characters, in at most 64 segments that are separated by single
// slashes, none of which is ".", ".." or empty. A final slash, with which IMDS marks
// directories, is allowed. An error matches [ErrBadKey] and says what to write instead.
func CheckKey(key string) error {
	segs := segments(key)
	switch {
	case key == "":
		return fmt.Errorf("%w: must not be empty: use a key such as instance-id", ErrBadKey)
	case len(key) > maxKeyBytes:
		return badKey(key, fmt.Sprintf("must have at most %d bytes, but has %d", maxKeyBytes, len(key)))
	case !utf8.ValidString(key):
		return badKey(key, "must be valid UTF-8")
	case strings.ContainsFunc(key, unicode.IsControl):
		return badKey(key, "must not contain control characters")
	case len(segs) > maxKeySegments:
		return badKey(key, fmt.Sprintf("must have at most %d segments, but has %d", maxKeySegments, len(segs)))
	case strings.HasPrefix(key, "/"):
		return badKey(key, "must not begin with a slash: "+suggestion(key))
	}
	for _, seg := range segs {
		switch seg {
		case "":
			return badKey(key, "must not contain two slashes in a row: "+suggestion(key))
		case ".", "..":
			return badKey(key, fmt.Sprintf("must not contain the segment %q: %s", seg, suggestion(key)))
		}
	}
	return nil
}

func badKey(key, why string) error {
	return fmt.Errorf("%w %q: %s", ErrBadKey, words.Shorten(key, 100), why)
}

// suggestion advises to use key without its invalid segments.
func suggestion(key string) string {
	var kept []string
	for seg := range strings.SplitSeq(key, "/") {
		if seg != "" && seg != "." && seg != ".." {
			kept = append(kept, seg)
		}
	}
	if len(kept) > 1 && kept[0] == "latest" { // key was copied from a URL
		kept = kept[1:]
	}
	if len(kept) == 0 {
		return "use a key such as instance-id"
	}
	return "use " + strings.Join(kept, "/")
}

// segments splits a key. A final slash does not add a segment.
func segments(key string) []string {
	return strings.Split(strings.TrimSuffix(key, "/"), "/")
}

// position is where a key is: in the identity document or below meta-data.
type position struct {
	identity bool
	segs     []string // relative to that
}

// newPosition returns the position of a key. It accepts the paths of IMDS for both.
func newPosition(key string) position {
	segs := segments(key)
	if segs[0] == identityRoot {
		return position{true, segs[1:]}
	}
	if doc := segments(paths.Identity); len(segs) >= len(doc) && slices.Equal(segs[:len(doc)], doc) {
		return position{true, segs[len(doc):]}
	}
	if segs[0] == metaDataRoot {
		return position{false, segs[1:]}
	}
	return position{false, segs}
}

// key returns the shortest key for a position.
func (p position) key() string {
	name := strings.Join(p.segs, "/")
	if p.identity {
		return strings.TrimSuffix(identityRoot+"/"+name, "/")
	}
	switch {
	case len(p.segs) == 0:
		return metaDataRoot
	case p.segs[0] == identityRoot, p.segs[0] == metaDataRoot, p.segs[0] == "dynamic":
		return metaDataRoot + "/" + name // without the prefix, this would be another key
	}
	return name
}

// compare compares two positions in the order of [Values.Walk].
func (p position) compare(q position) int {
	switch {
	case p.identity == q.identity:
		return slices.Compare(p.segs, q.segs)
	case p.identity:
		return -1
	}
	return 1
}

// contains reports whether q is p, or below it.
func (p position) contains(q position) bool {
	return p.identity == q.identity && len(q.segs) >= len(p.segs) && slices.Equal(p.segs, q.segs[:len(p.segs)])
}

// imdsPath returns the path of a key in IMDS, below the version, as `missing` in
// status.json contains it.
func imdsPath(key string) string {
	at := newPosition(key)
	if at.identity {
		return paths.Identity
	}
	return strings.TrimSuffix(paths.MetaData+strings.Join(at.segs, "/"), "/")
}

// usableSegment reports whether the name of a JSON member can be a segment of a key
// for [Values.Lookup].
func usableSegment(seg string) bool {
	return seg != "" && seg != "." && seg != ".." && utf8.ValidString(seg) &&
		!strings.Contains(seg, "/") && !strings.ContainsFunc(seg, unicode.IsControl)
}
