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

// ErrBadKey is a key that can name nothing, whatever the files have.
var ErrBadKey = errors.New("not a key")

// The bounds of a key. The crawl goes 12 levels deep, and a JSON document in it
// 16 more.
const (
	maxKeySegments = 64
	maxKeyBytes    = 4 << 10
)

// The first segments of keys: the identity document stands beside the tree of
// meta-data.
const (
	identityRoot = "identity"
	metaDataRoot = "meta-data"
)

// CheckKey returns nil when [Values.Lookup] takes key: at most 64 segments and
// 4 KiB of UTF-8 without control characters, between single slashes, none of them
// ".", ".." or empty. A final slash, as IMDS writes directories, is let pass. An
// error matches [ErrBadKey], and says what to write instead.
func CheckKey(key string) error {
	segs := segments(key)
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty: write one such as instance-id", ErrBadKey)
	case len(key) > maxKeyBytes:
		return badKey(key, fmt.Sprintf("it has %d bytes: write %d at most", len(key), maxKeyBytes))
	case !utf8.ValidString(key):
		return badKey(key, "it is not UTF-8: write it as IMDS lists it")
	case strings.ContainsFunc(key, unicode.IsControl):
		return badKey(key, "it has a control character: write it without")
	case len(segs) > maxKeySegments:
		return badKey(key, fmt.Sprintf("it has %d segments: write %d at most", len(segs), maxKeySegments))
	case strings.HasPrefix(key, "/"):
		return badKey(key, "it begins with a slash: "+without(key))
	}
	for _, seg := range segs {
		switch seg {
		case "":
			return badKey(key, "it has two slashes in a row: "+without(key))
		case ".", "..":
			return badKey(key, fmt.Sprintf("it has the segment %q, and a key is no path of files: %s", seg, without(key)))
		}
	}
	return nil
}

func badKey(key, why string) error {
	return fmt.Errorf("%q is %w: %s", words.Shorten(key, 100), ErrBadKey, why)
}

// without is the advice to write key without what is wrong with it.
func without(key string) string {
	var kept []string
	for seg := range strings.SplitSeq(key, "/") {
		if seg != "" && seg != "." && seg != ".." {
			kept = append(kept, seg)
		}
	}
	if len(kept) > 1 && kept[0] == "latest" { // from a URL
		kept = kept[1:]
	}
	if len(kept) == 0 {
		return "write one such as instance-id"
	}
	return "write " + strings.Join(kept, "/")
}

// segments splits a key. A final slash is not one more segment.
func segments(key string) []string {
	return strings.Split(strings.TrimSuffix(key, "/"), "/")
}

// inIdentity splits the segments of a key: those below the identity document
// (true), or below meta-data (false). The paths of IMDS work for both.
func inIdentity(segs []string) ([]string, bool) {
	if segs[0] == identityRoot {
		return segs[1:], true
	}
	if doc := segments(paths.Identity); len(segs) >= len(doc) && slices.Equal(segs[:len(doc)], doc) {
		return segs[len(doc):], true
	}
	if segs[0] == metaDataRoot {
		return segs[1:], false
	}
	return segs, false
}

// belowVersion is the key as `missing` of a status has it, a path of IMDS.
func belowVersion(key string) string {
	segs, isIdentity := inIdentity(segments(key))
	if isIdentity {
		return paths.Identity
	}
	return strings.TrimSuffix(paths.MetaData+strings.Join(segs, "/"), "/")
}

// usableSegment reports whether a key of a file can stand in a key of
// [Values.Lookup].
func usableSegment(seg string) bool {
	return seg != "" && seg != "." && seg != ".." && utf8.ValidString(seg) &&
		!strings.Contains(seg, "/") && !strings.ContainsFunc(seg, unicode.IsControl)
}
