// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// didYouMean is the part of a message that suggests existing keys in the place of an
// absent one, or empty. A key that was asked for and failed is spelled right; one
// below a failed listing may not be.
func didYouMean(v *snapshot.Values, e *snapshot.KeyError) string {
	if e.Credentials || e.Path != "" && !strings.HasSuffix(e.Path, "/") {
		return ""
	}
	keys := similar(v, e.Key)
	last := len(keys) - 1
	switch {
	case last < 0:
		return ""
	case last == 0:
		return ": did you mean " + keys[0] + "?"
	default:
		return ": did you mean " + strings.Join(keys[:last], ", ") + " or " + keys[last] + "?"
	}
}

// The number of suggestions, the length in bytes up to which keys are compared, and
// how many are: a tree has 4096 paths, and documents in it have more keys.
const (
	maxSimilar    = 3
	maxCompared   = 100
	maxCandidates = 10_000
)

// similar returns the existing keys that may be meant by an absent one, the best
// first.
func similar(v *snapshot.Values, key string) []string {
	key = strings.TrimPrefix(strings.TrimSuffix(key, "/"), "latest/")
	key = strings.TrimPrefix(key, "meta-data/")
	if below, ok := strings.CutPrefix(key, readiness.IdentityPath+"/"); ok {
		key = "identity/" + below
	}
	if len(key) > maxCompared {
		return nil
	}
	known := meant(key)
	type candidate struct {
		key      string
		distance int
	}
	var found []candidate
	compared := 0
	err := v.Walk("", func(k string) error {
		name := strings.TrimSuffix(k, "/")
		if len(name) > maxCompared {
			return fs.SkipDir
		}
		if name == known {
			found = append(found, candidate{name, -1})
		} else if d, ok := distance(key, name); ok {
			found = append(found, candidate{name, d})
		}
		if compared++; compared == maxCandidates {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return nil // a suggestion is not worth a second error
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(len(a.key), len(b.key)))
	})
	var best []string
	for _, c := range found[:min(len(found), maxSimilar)] {
		if c.distance <= found[0].distance+1 { // others are noise beside the best
			best = append(best, c.key)
		}
	}
	return best
}

// meant returns the key for a name that people know from the ec2-metadata tool, the
// AWS console or the SDKs, or an empty string.
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

// distance is how far the key that was asked for is from an existing key, as a whole
// or by its last segment, in any spelling (account-id, accountId). It is false if
// they are too far apart.
func distance(asked, key string) (int, bool) {
	a, whole := plain(asked), plain(key)
	last := plain(key[strings.LastIndexByte(key, '/')+1:])
	lastAsked := plain(asked[strings.LastIndexByte(asked, '/')+1:])
	if a == "" || lastAsked == "" {
		return 0, false
	}
	near := max(1, len([]rune(a))/4)
	switch far := words.Distance(a, whole); {
	case far == 0:
		return 0, true
	case last == a:
		return 1, true
	case far <= near:
		return far + 1, true
	case last == lastAsked && len(last) > 2:
		return 4, true
	}
	slip := words.Distance(a, last)
	return slip + 2, slip <= near && len(last) > 2
}

// plain is s in lower case without the characters between words.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_./ ", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
