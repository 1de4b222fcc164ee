// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"
)

// credentialsListing is the one way to look at the role's credentials: it is
// satisfied by a role whose document says Code Success, which is dropped.
const credentialsListing = "meta-data/iam/security-credentials/"

// requirePath checks the path of a [[require]]: exact, below the version.
func requirePath(path string) (value, problem string) {
	segments := strings.Split(path, "/")
	switch {
	case path == "":
		return "", "empty"
	case path[0] == '/':
		return "", "begins with a slash: drop it"
	case strings.ContainsFunc(path, unicode.IsControl):
		return "", "has a control character"
	case strings.ContainsAny(path, "*?[{"):
		return "", "is exact: no glob, so none of *, ?, [ and {"
	case slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return "", `has a segment "." or ".."`
	case slices.Contains(segments[:len(segments)-1], ""):
		return "", "has an empty segment"
	case segments[0] == "latest":
		return "", "begins with the version: drop latest/"
	case path != "user-data" && (len(segments) < 2 || segments[0] != "meta-data" && segments[0] != "dynamic"):
		return "", "is no place of IMDS"
	}
	return path, neverFetched(path, segments)
}

// neverFetched says what is wrong with a path that lies in a role's
// credentials: they are not fetched, not even their listings.
func neverFetched(path string, segments []string) string {
	const reason = "is never fetched: it would hold credentials"
	switch {
	case path+"/" == credentialsListing:
		return reason + `; "` + credentialsListing + `" with its final slash waits for a role`
	case strings.HasPrefix(path, credentialsListing) && path != credentialsListing:
		return reason + `; "` + credentialsListing + `" waits for a role`
	case path != credentialsListing && segments[0] == "meta-data" && !(len(segments) == 4 && segments[1] == "tags") &&
		slices.ContainsFunc(segments, func(s string) bool { return strings.EqualFold(s, "security-credentials") }):
		return reason // in any case of letters, and wherever; an instance may have a tag of that name
	}
	return ""
}

// glob checks a doublestar pattern over paths below the version.
func glob(pattern string) (problem string) {
	switch {
	case pattern == "":
		return "an empty pattern matches nothing"
	case pattern[0] == '/':
		return quote(pattern) + " begins with a slash: drop it"
	case !doublestar.ValidatePattern(pattern):
		return quote(pattern) + " is not a valid glob: a bracket or brace is not closed, or a final backslash"
	}
	return ""
}

// includeGlob is a glob that can match something below meta-data/; no other
// path is collected by pattern.
func includeGlob(pattern string) (problem string) {
	if problem := glob(pattern); problem != "" {
		return problem
	}
	first, rest, _ := strings.Cut(pattern, "/")
	// A slash within braces or a class: only the whole pattern could tell.
	if strings.Count(first, "{") != strings.Count(first, "}") || strings.Contains(first, "[") && !strings.Contains(first, "]") {
		return ""
	}
	if first == "**" || rest != "" && doublestar.MatchUnvalidated(first, "meta-data") {
		return ""
	}
	return quote(pattern) + ` can never match below meta-data/: begin it with meta-data/, as in "meta-data/**"`
}

// ruleGlob is the path of a rule; an empty one is any path.
func ruleGlob(pattern string) (value, problem string) {
	if pattern == "" {
		return "", ""
	}
	return pattern, glob(pattern)
}
