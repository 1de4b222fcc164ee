// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestWatchPaths has what is wrong with watched paths. Each is quoted in its problem.
func TestWatchPaths(t *testing.T) {
	const listing, glob, secret = "is a listing: name the value in it", "must be exact, without *, ?, [ and { of a glob",
		"may be secret, and every user can read the files of imds-ready watch"
	for path, want := range map[string]string{
		"meta-data/spot/instance-action":                    "",
		"meta-data/tags/instance/aws:autoscaling:groupName": "",
		"meta-data/iam/info":                                "",
		"dynamic/instance-identity/document":                "",
		"dynamic/fws/instance-monitoring":                   "",
		"meta-data/tags/instance/security-credentials":      "", // a tag of that name
		"meta-data/spot/*":                                  glob,
		"meta-data/**":                                      glob,
		"meta-data/{a,b}":                                   glob,
		"meta-data/spot/":                                   listing,
		"meta-data/spot":                                    listing,
		"meta-data/":                                        listing,
		"meta-data":                                         listing,
		"meta-data/tags/instance":                           listing,
		"meta-data/network/interfaces/macs":                 listing,
		"dynamic/instance-identity":                         listing,
		"user-data":                                         secret,
		"dynamic/instance-identity/rsa2048":                 secret,
		"meta-data/iam/security-credentials/role":           "is never fetched, because it holds credentials",
		"meta-data/iam/security-credentials/":               "is never fetched, because it holds credentials",
		"meta-data/iam/security-credentials":                "is never fetched, because it holds credentials",
		"/latest/meta-data/mac":                             notRelative + `: write "meta-data/mac"`,
		"http://169.254.169.254/latest/meta-data/mac":       notRelative + `: write "meta-data/mac"`,
		"/meta-data/spot/":                                  listing,
		"mac":                                               `is not a path of IMDS, did you mean "meta-data/mac"?`,
		"":                                                  "is empty",
		"meta-data/a//b":                                    "has an empty segment",
		"meta-data/../user-data":                            `has a segment "." or ".."`,
		"meta-data/a\nb":                                    "has a control character",
		"meta-data/tags/instance/" + strings.Repeat("x", 250): "",
		"meta-data/tags/instance/" + strings.Repeat("x", 251): "has a segment of more than 250 bytes",
	} {
		got := watchPath(path)
		if want != "" && !strings.HasPrefix(got, `"`) {
			t.Errorf("%s: %q does not quote the path", path, got)
		}
		if want == "" && got != "" || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestWatchProblems has the text of problems of the table.
func TestWatchProblems(t *testing.T) {
	const valid = ", valid: 1 to 32 exact paths of single values, below meta-data/ or dynamic/"
	many := "'meta-data/0'"
	for i := range 32 {
		many += fmt.Sprintf(", 'meta-data/x%d'", i)
	}
	for text, want := range map[string]string{
		"watch.interval = 5":                `watch.interval = 5: a duration needs a unit (ms, s, m, h): write "5s", valid: "1s" to "1h"`,
		"watch.interval = '5'":              `watch.interval = '5': a duration needs a unit (ms, s, m, h): write "5s", valid: "1s" to "1h"`,
		"watch.interval = '0s'":             `watch.interval = '0s': out of range, valid: "1s" to "1h"`,
		"watch.interval = '61m'":            `watch.interval = '61m': out of range, valid: "1s" to "1h"`,
		"watch.paths = []":                  "watch.paths = []: an empty list watches nothing: name a path; imds-ready watch runs only if its unit is enabled" + valid,
		"watch.paths = 'x'":                 `watch.paths = 'x': must be a list of strings, not a string: write ["x"]` + valid,
		"watch.paths = ['a/*']":             `watch.paths = ['a/*']: "a/*" must be exact, without *, ?, [ and { of a glob` + valid,
		"watch.paths = ['meta-data/spot/']": `watch.paths = ['meta-data/spot/']: "meta-data/spot/" is a listing: name the value in it` + valid,
		"watch.paths = ['meta-data/a', 'meta-data/a/b']": `watch.paths = ['meta-data/a', 'meta-data/a/b']: ` +
			`"meta-data/a" is a listing, because "meta-data/a/b" is below it: remove one of the two` + valid,
		"watch.paths = ['meta-data/a', 'meta-data/a']": `watch.paths = ['meta-data/a', 'meta-data/a']: has "meta-data/a" twice` + valid,
		"watch.paths = [" + many + "]":                 "has 33 paths" + valid,
		"watch.path = 'x'":                             "watch.path = 'x': unknown key, did you mean watch.paths?",
	} {
		got := tree{"/etc/imds-ready/imds-ready.toml": text}.problemsOf(t)
		if !strings.HasSuffix(strings.TrimSpace(got), want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}

// Each problem of a list is reported once, and the beginning of a long list as well.
func TestWatchProblemsAreShort(t *testing.T) {
	const key = "etc/imds-ready/imds-ready.toml:1: watch.paths"
	const valid = ", valid: 1 to 32 exact paths of single values, below meta-data/ or dynamic/"
	const nested = "['meta-data/a', 'meta-data/a/b', 'meta-data/a', 'meta-data/a']"
	got := tree{"/etc/imds-ready/imds-ready.toml": "watch.paths = " + nested}.problemsOf(t)
	want := key + " = " + nested + `: "meta-data/a" is a listing, because "meta-data/a/b" is below it: remove one of the two` + valid + "\n" +
		key + " = " + nested + `: has "meta-data/a" twice` + valid
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	many := ""
	for i := range 32 {
		many += fmt.Sprintf("'meta-data/x%d/', ", i)
	}
	got = tree{"/etc/imds-ready/imds-ready.toml": "watch.paths = [" + many + "]"}.problemsOf(t)
	for i, line := range strings.Split(strings.TrimSpace(got), "\n") {
		want := fmt.Sprintf(`: "meta-data/x%d/" is a listing: name the value in it`, i) + valid
		if !strings.HasSuffix(line, want) || (line == key+want) != (i > 0) {
			t.Errorf("got\n%s\nwant\n%s", line, want)
		}
	}
}
