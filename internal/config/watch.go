// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// Watch is the [watch] table: what imds-ready watch asks for, and how often.
type Watch struct {
	// Paths are exact paths below the version, 1 to 32, each once. None of them is a
	// directory of another.
	Paths []string
	// Interval is the longest time from the start of a round of requests to that of the
	// next, 1 s to 1 h.
	Interval time.Duration
}

// The limits of watch.paths. The name of a file is a segment of its path, and that of its
// temporary file is five bytes longer.
const (
	maxWatched = 32
	maxSegment = 250
)

const validWatched = "1 to 32 exact paths of single values, below meta-data/ or dynamic/"

// pathList is the list of watched paths.
func pathList() kind[[]string] {
	k := list("an empty list watches nothing: name a path; imds-ready watch runs only if its unit is enabled", watchPath)
	read := k.read
	k.valid = validWatched
	k.read = func(raw any) ([]string, []string) {
		values, problems := read(raw)
		if len(problems) > 0 {
			return nil, problems
		}
		return values, listProblems(values)
	}
	return k
}

// listProblems says what is wrong with valid paths together.
func listProblems(values []string) (problems []string) {
	if len(values) > maxWatched {
		return []string{fmt.Sprintf("has %d paths", len(values))}
	}
	for i, path := range values {
		if slices.Contains(values[:i], path) {
			problems = append(problems, "has "+quote(path)+" twice")
		}
		below := func(other string) bool { return strings.HasPrefix(other, path+"/") }
		if j := slices.IndexFunc(values, below); j >= 0 {
			problems = append(problems, quote(path)+" is a listing, because "+quote(values[j])+" is below it: remove one of the two")
		}
	}
	return problems
}

// watchPath says what is wrong with one watched path. Each is a file that every user can
// read, so none may hold a secret.
func watchPath(path string) (problem string) {
	if below := belowVersion(path); below != "" && below != path {
		if problem = watchPath(below); problem == "" {
			problem = quote(path) + " " + notRelative + ": write " + quote(below)
		}
		return problem
	}
	long := func(segment string) bool { return len(segment) > maxSegment }
	switch {
	case path == paths.UserData, slices.Contains(paths.Signatures(), path):
		problem = "may be secret, and every user can read the files of imds-ready watch"
	case paths.IsCredentials(path):
		problem = "is never fetched, because it holds credentials"
	case strings.ContainsAny(path, "*?[{"):
		problem = "must be exact, without *, ?, [ and { of a glob"
	case strings.HasSuffix(path, "/"), isDirectory(path):
		problem = "is a listing: name the value in it"
	case slices.ContainsFunc(strings.Split(path, "/"), long):
		problem = fmt.Sprintf("has a segment of more than %d bytes", maxSegment)
	default:
		problem = exactPath(path)
	}
	if problem != "" {
		problem = quote(path) + " " + problem
	}
	return problem
}

// isDirectory reports whether a path is a directory of IMDS, written without its final
// slash. IMDS answers such a request with a listing as well.
func isDirectory(path string) bool {
	path += "/"
	return slices.ContainsFunc([]string{
		paths.IdentityDir, "dynamic/fws/", paths.PublicKeys, paths.Tags, paths.Macs,
		paths.MetaData + "autoscaling/", paths.MetaData + "block-device-mapping/", paths.MetaData + "events/maintenance/",
		paths.MetaData + "events/recommendations/", paths.MetaData + "iam/", paths.MetaData + "identity-credentials/ec2/",
		paths.MetaData + "metrics/", paths.MetaData + "placement/", paths.MetaData + "services/", paths.MetaData + "spot/",
	}, func(dir string) bool { return strings.HasPrefix(dir, path) })
}
