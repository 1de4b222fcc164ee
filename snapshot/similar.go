// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// KeyError says that a key has no value in the files; [errors.As] finds it.
type KeyError struct {
	// Key is what was asked for.
	Key string
	// Class is why the daemon could not have it, from `missing` or `required` in
	// status.json; "" when it was not there at all.
	Class string
	// Credentials is true for what the daemon never asks for: IMDS alone gives
	// credentials away.
	Credentials bool
	// Similar are keys that may be meant, the best first, three at most.
	Similar []string
}

// Error implements error.
func (e *KeyError) Error() string {
	text := fmt.Sprintf("no such key: %q", e.Key)
	if e.Credentials {
		return text + ": credentials are in no file, ask IMDS"
	}
	if e.Class != "" {
		text += " could not be had: " + e.Class
	}
	if last := len(e.Similar) - 1; last >= 0 {
		text += ": did you mean " + strings.Join(e.Similar[:last], ", ")
		if last > 0 {
			text += " or "
		}
		text += e.Similar[last] + "?"
	}
	return text
}

// absent explains why there is no key.
func (v *Values) absent(key string) *KeyError {
	e := &KeyError{Key: key}
	segs, isIdentity := inIdentity(segments(key))
	if e.Credentials = !isIdentity && isCredential(segs); e.Credentials {
		return e
	}
	class, exact := v.missing(belowVersion(key))
	e.Class = class
	if !exact {
		e.Similar = v.similar(key)
	}
	return e
}

// missing is the class of a path that could not be had, or of a document that it
// may be in (exact), or of the listing of a directory above, which may have had it
// or not. It is "" when there was no failure.
func (v *Values) missing(path string) (class string, exact bool) {
	for {
		for _, at := range []string{path, path + "/"} {
			if class, ok := v.status.Missing[at]; ok {
				return class, at == path
			}
			if r, ok := v.status.Required[at]; ok && !r.OK && r.Class != nil {
				return *r.Class, at == path
			}
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return "", false
		}
		path = path[:i]
	}
}

// meant are the keys that people write from memory, from the ec2-metadata tool, the
// AWS console or the SDKs, and where they are.
func meant(key string) string {
	switch plain(key) {
	case "az", "zone", "availabilityzone":
		return "placement/availability-zone"
	case "account", "accountid", "ownerid":
		return "identity/accountId"
	case "arch":
		return "identity/architecture"
	case "id", "instance":
		return "instance-id"
	case "type":
		return "instance-type"
	case "region":
		return "placement/region"
	case "ami", "image", "imageid":
		return "ami-id"
	case "name", "tagsname", "tagname":
		return "tags/instance/Name"
	case "tag", "tags":
		return "tags/instance"
	case "ip", "privateip", "privateipv4", "ipv4":
		return "local-ipv4"
	case "publicip":
		return "public-ipv4"
	case "role", "iamrole", "profilearn", "instanceprofile":
		return "iam/info"
	case "document", "identitydocument", "instanceidentity", "dynamic":
		return "identity"
	}
	return ""
}

// How many keys are offered, and up to which length they are compared.
const (
	maxSimilar  = 3
	maxCompared = 100
)

// similar are the keys that may be meant by one that is not there.
func (v *Values) similar(key string) []string {
	key = strings.TrimPrefix(strings.TrimSuffix(key, "/"), "latest/")
	segs, isIdentity := inIdentity(segments(key))
	key = keyName(segs, isIdentity)
	if len(key) > maxCompared {
		return nil
	}
	known := meant(key)
	keys, err := v.List("")
	if err != nil {
		return nil // what cannot be read is no help
	}
	type candidate struct {
		key      string
		distance int
	}
	var found []candidate
	for _, k := range keys {
		name := strings.TrimSuffix(k, "/")
		if len(name) > maxCompared {
			continue
		}
		if name == known {
			found = append(found, candidate{name, -1})
		} else if d, ok := distance(key, name); ok {
			found = append(found, candidate{name, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(len(a.key), len(b.key)))
	})
	var similar []string
	for _, c := range found[:min(len(found), maxSimilar)] {
		// What is much worse than the best is noise beside it.
		if c.distance <= found[0].distance+1 {
			similar = append(similar, c.key)
		}
	}
	return similar
}

// distance is how far what was asked is from a key that exists, as a whole or by
// its last segment, in any writing (account-id, accountId); false: too far.
func distance(asked, key string) (int, bool) {
	a, whole := plain(asked), plain(key)
	last := plain(key[strings.LastIndexByte(key, '/')+1:])
	lastAsked := plain(asked[strings.LastIndexByte(asked, '/')+1:])
	if a == "" || lastAsked == "" {
		return 0, false
	}
	near := max(1, len([]rune(a))/4)
	switch far := edits(a, whole); {
	case far == 0:
		return 0, true
	case last == a:
		return 1, true
	case far <= near:
		return far + 1, true
	case last == lastAsked && len(last) > 2:
		return 4, true
	}
	slip := edits(a, last)
	return slip + 2, slip <= near && len(last) > 2
}

// plain is s in lower case without what stands between words.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_./ ", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// edits is the distance of Levenshtein, with two letters in the wrong order as one
// slip: the optimal string alignment.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := func(first int) []int {
		r := make([]int, len(y)+1)
		r[0] = first
		return r
	}
	before, above := row(0), row(0)
	for j := range above {
		above[j] = j
	}
	for i := range x {
		here := row(i + 1)
		for j := range y {
			cost := above[j]
			if x[i] != y[j] {
				cost++
			}
			here[j+1] = min(cost, above[j+1]+1, here[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				here[j+1] = min(here[j+1], before[j-1]+1)
			}
		}
		before, above = above, here
	}
	return above[len(y)]
}
