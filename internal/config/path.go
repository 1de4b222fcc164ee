// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

const validPath = "an exact path below meta-data/ or dynamic/, or user-data; with a final slash, a listing"

const notRelative = "must be relative to the version"

// upToVersion is the beginning of a URL or of an absolute path, and the version.
var upToVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\w+://[^/]*|\d+(\.\d+){3}/)?/*((latest|\d{4}-\d\d-\d\d)(/+|$))?`)
})

// belowVersion returns what is below the version of a path or of a pattern.
func belowVersion(path string) string { return path[len(upToVersion().FindString(path)):] }

// requirePath checks the path of a [[require]]: exact, below the version.
func requirePath(path string) (value, problem string) {
	if below := belowVersion(path); below != "" && below != path {
		if value, problem = requirePath(below); problem == "" {
			problem = notRelative + ": write " + quote(value)
		}
		return "", problem
	}
	if problem := exactPath(path); problem != "" {
		return "", problem
	}
	if problem := credentials(path); problem != "" || !strings.HasPrefix(path, "dynamic/") {
		return path, problem
	}
	if path != paths.Identity && !slices.Contains(paths.Signatures(), path) {
		return "", "would be in no file: of dynamic/, only " + paths.Identity + ", pkcs7, rsa2048 and signature can be required"
	}
	return path, ""
}

// exactPath says what is wrong with a path below the version that must be exact.
func exactPath(path string) (problem string) {
	segments := strings.Split(path, "/")
	switch {
	case path == "":
		return "is empty"
	case belowVersion(path) == "":
		return "is not a path of IMDS"
	case strings.ContainsFunc(path, unicode.IsControl):
		return "has a control character"
	case strings.ContainsAny(path, "*?[{"):
		return "must be exact, without *, ?, [ and { of a glob"
	case slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return `has a segment "." or ".."`
	case slices.Contains(segments[:len(segments)-1], ""):
		return "has an empty segment"
	case path == paths.UserData:
		return ""
	case len(segments) < 2 || segments[0] != "meta-data" && segments[0] != "dynamic":
		meant := meantPath(segments)
		if strings.HasPrefix(meant, "dynamic/") {
			meant = paths.Identity
		}
		if meant != "" {
			return "is not a path of IMDS, did you mean " + quote(meant) + "?"
		}
		return "is not a path of IMDS"
	}
	return ""
}

// meantPath returns the path that was probably meant by one outside of the
// tree, such as iam/info.
func meantPath(segments []string) string {
	first, rest := strings.ToLower(segments[0]), strings.Join(segments[1:], "/")
	meant := paths.MetaData + strings.Join(segments, "/")
	switch {
	case first == "api" || len(first) > 64:
		return ""
	case first == "instance-identity":
		meant = "dynamic/" + strings.Join(segments, "/")
	case words.Distance(first, "meta-data") <= 2:
		meant = paths.MetaData + rest
	case words.Distance(first, "dynamic") <= 2:
		meant = "dynamic/" + rest
	case words.Distance(first, paths.UserData) <= 2 && rest == "":
		meant = paths.UserData
	}
	if credentials(meant) != "" {
		return ""
	}
	return meant
}

// credentials says what is wrong with a path that names credentials: they are
// not fetched, not even their listings, except that of the role. It shows
// whether the role works, and is dropped.
func credentials(path string) (problem string) {
	const reason = "is never fetched, because it holds credentials"
	switch {
	case path == paths.Roles || !paths.IsCredentials(path):
		return ""
	case path+"/" == paths.Roles:
		return reason + `; "` + paths.Roles + `" with its final slash waits for a role`
	case strings.HasPrefix(path, paths.Roles):
		return reason + `; "` + paths.Roles + `" waits for a role`
	}
	return reason
}

// cannotEqual says why the value of a required path cannot be compared, and what
// to do instead.
func cannotEqual(path string) (problem string) {
	switch {
	case strings.HasSuffix(path, "/"):
		return quote(path) + " is a directory, which has no value: require a path in it, or remove equals"
	case path == paths.RoleInfo:
		return quote(path) + " is a JSON document: remove equals, and the gate waits until its Code is Success"
	case readiness.IsDocument(path):
		return quote(path) + " is a JSON document: remove equals, and the gate waits until it exists"
	case !strings.HasPrefix(path, paths.MetaData): // a mismatch is logged with its value
		return quote(path) + " may be secret, so its value is not compared: remove equals, and the gate waits until it exists"
	}
	return ""
}

// glob checks a doublestar pattern over paths below the version.
func glob(pattern string) (problem string) {
	switch {
	case pattern == "":
		return "an empty pattern matches nothing"
	case !doublestar.ValidatePattern(pattern):
		return quote(pattern) + " is not a valid glob: a bracket or brace is not closed, or it ends with a backslash"
	case pattern[0] == '/':
		return absoluteGlob(pattern)
	}
	return ""
}

// includeGlob is a glob that can match something below meta-data/; no other
// path is collected by pattern.
func includeGlob(pattern string) (problem string) {
	if problem := glob(pattern); problem != "" {
		return problem
	}
	if inMetaData(pattern) {
		return ""
	}
	never := quote(pattern) + " can never match below meta-data/"
	switch meant := meantGlob(pattern, inMetaData); {
	case meant == "":
		return never + ": begin it with meta-data/"
	case inMetaData(meant):
		return never + ": write " + quote(meant)
	}
	return never + ": remove it"
}

// inMetaData reports whether a pattern may match something below meta-data/.
func inMetaData(pattern string) bool {
	first, rest, _ := strings.Cut(pattern, "/")
	return severed(first) || first == "**" || rest != "" && doublestar.MatchUnvalidated(first, "meta-data")
}

// absoluteGlob is the problem of a pattern that is not relative to the version.
func absoluteGlob(pattern string) (problem string) {
	problem = quote(pattern) + " " + notRelative
	if meant := meantGlob(pattern, inTree); meant != "" {
		problem += ": write " + quote(meant)
	}
	return problem
}

// meantGlob returns the pattern that was probably meant by one that matches nothing,
// or "".
func meantGlob(pattern string, matches func(string) bool) string {
	below := belowVersion(pattern)
	if matches(below) && !strings.HasSuffix(below, "/") {
		return below
	}
	meant := meantPath(strings.Split(below, "/"))
	if strings.HasSuffix(meant, "/") {
		meant += "**" // only directories end in a slash
	}
	return meant
}

// severed reports whether the first segment of a pattern ends within braces or a class.
// Then only the whole pattern could tell what it matches.
func severed(first string) bool {
	return strings.Count(first, "{") != strings.Count(first, "}") || strings.Contains(first, "[") && !strings.Contains(first, "]")
}

// DeadGlob returns why a glob of metadata.include or metadata.exclude can match no
// value below meta-data/, or "" if it may match one.
func DeadGlob(pattern string) (why string) {
	if problem := includeGlob(pattern); problem != "" {
		return problem
	}
	if dir, ok := strings.CutSuffix(pattern, "/"); ok {
		return quote(pattern) + " matches no value, because only directories end in a slash: write " + quote(dir+"/**")
	}
	return ""
}

// OnlyCredentials reports whether a glob of metadata.include matches only credentials,
// which are never collected. It may miss one with braces.
func OnlyCredentials(pattern string) bool {
	// Only a tag may have that name.
	const tag = paths.Tags + "security-credentials"
	return !strings.Contains(pattern, "{") && paths.IsCredentials(pattern) && !doublestar.MatchUnvalidated(pattern, tag)
}

// ExcludesAll reports whether the globs of metadata.exclude match all that those of
// metadata.include match. It may miss a combination of several globs.
func ExcludesAll(include, exclude []string) bool {
	left := func(wanted string) bool {
		return !slices.ContainsFunc(exclude, func(glob string) bool {
			if glob == wanted || glob == "**" || glob == paths.MetaData+"**" {
				return true
			}
			dir, ok := strings.CutSuffix(glob, "/**")
			return ok && !strings.ContainsAny(dir, `*?[{\`) && strings.HasPrefix(wanted, dir+"/")
		})
	}
	return !slices.ContainsFunc(include, left)
}

// DeadRuleGlob returns why the path of a rule can match no path that is ever
// requested, or "" if it may match one.
func DeadRuleGlob(pattern string) (why string) {
	if pattern == "" || inTree(pattern) {
		return ""
	}
	if belowVersion(pattern) != pattern {
		return absoluteGlob(pattern)
	}
	problem := quote(pattern) + " can match no path of IMDS"
	if meant := meantGlob(pattern, inTree); meant != "" {
		return problem + ": write " + quote(meant)
	}
	return problem + ": begin it with meta-data/ or dynamic/"
}

// inTree reports whether a pattern may match a path of IMDS.
func inTree(pattern string) bool {
	first, rest, below := strings.Cut(pattern, "/")
	if first == "**" || severed(first) {
		return true
	}
	matches := func(name string) bool { return doublestar.MatchUnvalidated(first, name) }
	return below && (matches("meta-data") || matches("dynamic")) || matches(paths.UserData) && (!below || rest == "**")
}

// CheckPath returns an error if a path cannot be required or collected. The error says
// what to write instead.
func CheckPath(path string) error {
	_, problem := requirePath(path)
	if problem == "" {
		return nil
	}
	return errors.New(quote(path) + " " + key{valid: validPath}.withRange(problem))
}

// ruleGlob is the path of a rule; an empty one is any path.
func ruleGlob(pattern string) (value, problem string) {
	if pattern == "" {
		return "", ""
	}
	return pattern, glob(pattern)
}

// ruleClass checks an entry of a rule's on.
func ruleClass(on string) (problem string) {
	on = words.Shorten(on, maxShown)
	if err := policy.CheckOn(on); err != nil {
		return meantClass(on, err, "4xx", "5xx").Error()
	}
	return ""
}

// CheckClass returns an error if no attempt can end with a class. The error says
// what to write instead.
func CheckClass(class string) error {
	class = words.Shorten(class, maxShown)
	return meantClass(class, policy.CheckClass(class))
}

// meantClass turns the error about a misspelled class into a question. The class may
// also be one of the others.
func meantClass(class string, err error, others ...policy.Class) error {
	if err == nil || len(class) > 24 { // no class is that long
		return err
	}
	best, meant := len(class)/4, policy.Class("")
	for _, c := range append(policy.AttemptClasses(), others...) {
		if d := words.Distance(strings.ToLower(class), string(c)); d <= best && (d < best || meant == "") {
			best, meant = d, c
		}
	}
	if meant == "" {
		return err
	}
	return errors.New("no class is " + quote(class) + ", did you mean " + quote(string(meant)) + "?")
}
