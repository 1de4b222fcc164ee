// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/snapshot"
)

// suggestKeys is the end of a message about an absent key. A key that could not be
// fetched is spelled correctly, but one below a listing that could not be fetched
// need not be.
func suggestKeys(v *snapshot.Values, e *snapshot.KeyError) string {
	if e.Credentials || e.Path != "" && !strings.HasSuffix(e.Path, "/") {
		return ""
	}
	return didYouMean(similarKeys(v, e.Key))
}

// The number of suggestions, the length in bytes up to which keys are compared, and
// how many are: a tree has 4096 paths, and documents in it have more keys.
const (
	maxSimilar    = 3
	maxCompared   = 100
	maxCandidates = 10_000
)

// similarKeys returns the existing keys that an absent one may stand for, the most
// likely first.
func similarKeys(v *snapshot.Values, key string) []string {
	key = strings.TrimPrefix(strings.TrimSuffix(key, "/"), "latest/")
	key = strings.TrimPrefix(key, "meta-data/")
	if below, ok := strings.CutPrefix(key, imds.IdentityPath+"/"); ok {
		key = "identity/" + below
	}
	if len(key) > maxCompared {
		return nil
	}
	mac, _ := v.Lookup(macKey)
	primary := fmt.Sprintf("%s/%v/", macsKey, mac)
	rank := func(key string) int { // the primary interface comes first
		if strings.HasPrefix(key, primary) {
			return 0
		}
		return 1
	}
	type candidate struct {
		key      string
		distance int
	}
	var found []candidate
	compared := 0
	err := v.Walk("", func(k string) error {
		k = strings.TrimSuffix(k, "/")
		switch {
		case len(k) > maxCompared:
			return fs.SkipDir
		case !sameKind(key, k):
			return nil
		}
		if slices.Contains(strings.Fields(synonyms[k]), normalized(key)) {
			found = append(found, candidate{k, -1})
		} else if d, ok := keyDistance(key, k); ok {
			found = append(found, candidate{k, d})
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
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(len(a.key), len(b.key)), cmp.Compare(rank(a.key), rank(b.key)))
	})
	var best []string
	for _, c := range found[:min(len(found), maxSimilar)] {
		if c.distance <= found[0].distance+1 { // others only distract from the best
			best = append(best, c.key)
		}
	}
	return best
}

// sameKind reports whether a key can stand for a requested one: a tag only for a
// tag, and a public key, which has a name like many tags, only for a key.
func sameKind(requested, key string) bool {
	switch {
	case strings.HasPrefix(requested, tagsKey+"/"):
		return strings.HasPrefix(key, tagsKey+"/")
	case strings.HasPrefix(key, "public-keys/"):
		return strings.Contains(normalized(requested), "key")
	}
	return true
}

// synonyms are the normalized names by which people know some keys from the
// ec2-metadata tool, the AWS console or the SDKs.
var synonyms = map[string]string{
	"ami-id":                      "ami image imageid",
	"iam/info":                    "role iamrole profilearn instanceprofile",
	"identity":                    "document identitydocument instanceidentity dynamic",
	"identity/accountId":          "account accountid ownerid",
	"identity/architecture":       "arch",
	"instance-id":                 "id instance",
	"instance-type":               "type",
	"local-ipv4":                  "ip privateip privateipv4 ipv4",
	"placement/availability-zone": "az zone availabilityzone",
	"placement/region":            "region",
	"public-ipv4":                 "publicip",
	"tags/instance":               "tag tags",
	"tags/instance/Name":          "name tagsname tagname",
}

// keyDistance returns how far a requested key is from an existing one, compared
// complete or by the last segment, in any spelling (account-id, accountId). It is
// false if they are too far apart.
func keyDistance(requested, key string) (int, bool) {
	lastSegment := func(s string) string { return normalized(s[strings.LastIndexByte(s, '/')+1:]) }
	want, last, wantLast := normalized(requested), lastSegment(key), lastSegment(requested)
	if want == "" || wantLast == "" {
		return 0, false
	}
	tolerated := max(1, len([]rune(want))/4)
	switch d := words.Distance(want, normalized(key)); {
	case d == 0:
		return 0, true
	case last == want:
		return 1, true
	case d <= tolerated:
		return d + 1, true
	case last == wantLast && len(last) > 2:
		return 4, true
	}
	d := words.Distance(want, last)
	return d + 2, d <= tolerated && len(last) > 2
}

// normalized returns s in lower case without the characters between words.
func normalized(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_./ ", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
