// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestRequirePath(t *testing.T) {
	const (
		noPlace     = "is not a path of IMDS"
		credentials = "is never fetched, because it holds credentials"
		roles       = credentials + `; "meta-data/iam/security-credentials/"`
	)
	for problem, paths := range map[string][]string{
		"": {
			"dynamic/instance-identity/document", "meta-data/", "meta-data/ami-id", "meta-data/iam/info",
			"meta-data/iam/security-credentials/", "meta-data/iam/security-credentials-of-mine",
			"meta-data/identity-credentials/ec2/info", "meta-data/tags/instance/", "meta-data/tags/instance/a name",
			"meta-data/tags/instance/Größe", "meta-data/tags/instance/100%", "meta-data/tags/instance/security-credentials",
			"meta-data/public-keys/0/openssh-key", "user-data",
		},
		"is empty":                                       {""},
		"has an empty segment":                           {"meta-data//ami-id", "meta-data/ami-id//"},
		`has a segment "." or ".."`:                      {"meta-data/../user-data", "meta-data/./ami-id", "meta-data/.."},
		"has a control character":                        {"meta-data/ami\nid", "meta-data/ami\u0085id"},
		"must be exact, without *, ?, [ and { of a glob": {"meta-data/*", "meta-data/ami-i?", "meta-data/[a]mi-id", "meta-data/{ami-id}"},
		notRelative + `: write "meta-data/iam/info"`: {
			"/meta-data/iam/info", "latest/meta-data/iam/info", "/latest/meta-data/iam/info", "2021-07-15/meta-data/iam/info",
			"http://169.254.169.254/latest/meta-data/iam/info", "http://[fd00:ec2::254]/latest/meta-data/iam/info",
			"169.254.169.254/latest/meta-data/iam/info",
		},

		noPlace:                                  {"/", "latest", "/latest/", "http://127.0.0.1", "/latest/api/token", "api/token", "iam/security-credentials/my-role"},
		noPlace + `, did you mean "meta-data/"?`: {"meta-data", "metadata"},
		noPlace + `, did you mean "meta-data/ami-id"?`:                    {"ami-id", "Meta-Data/ami-id", "meta_data/ami-id"},
		noPlace + `, did you mean "meta-data/iam/info"?`:                  {"iam/info", "/latest/iam/info", "/latest/metadata/iam/info"},
		noPlace + `, did you mean "meta-data/iam/security-credentials/"?`: {"iam/security-credentials/"},
		"would be in no file: of dynamic/, only dynamic/instance-identity/document, pkcs7, rsa2048 and signature can be required": {
			"dynamic/fws/instance-monitoring", "dynamic/instance-identity/", "dynamic/",
		},
		noPlace + `, did you mean "dynamic/instance-identity/document"?`: {"dynamic", "instance-identity/document", "dynamics/instance-identity/document"},
		noPlace + `, did you mean "user-data"?`:                          {"user-data/", "user_data"},
		roles + ` with its final slash waits for a role`:                 {"meta-data/iam/security-credentials"},
		roles + ` waits for a role`:                                      {"meta-data/iam/security-credentials/my-role", "/latest/meta-data/iam/security-credentials/my-role"},
		credentials: {
			"meta-data/identity-credentials/ec2/security-credentials", "meta-data/identity-credentials/ec2/security-credentials/",
			"meta-data/identity-credentials/ec2/security-credentials/ec2-instance", "dynamic/Security-Credentials",
			"meta-data/tags/security-credentials/x", // was valid here and nowhere else
		},
	} {
		for _, path := range paths {
			if value, got := requirePath(path); got != problem || got == "" && value != path {
				t.Errorf("%q: got %q, %q, want the problem %q", path, value, got, problem)
			}
		}
	}
}

func TestGlobs(t *testing.T) {
	const (
		notValid = " is not a valid glob: a bracket or brace is not closed, or it ends with a backslash"
		absolute = " must be relative to the version"
	)
	for _, pattern := range []string{
		"meta-data/**", "meta-data/ami-id", "**", "**/ami-id", "*/ami-id", "meta*/**", "[lm]eta-data/**", "{meta-data,dynamic}/**",
		"{meta-data/a,dynamic/b}", "meta-data/{a,b/c}",
		"{dynamic/a,x}", // not looked into
	} {
		if a, b := glob(pattern), includeGlob(pattern); a != "" || b != "" {
			t.Errorf("%q: %q as a pattern, %q as an include", pattern, a, b)
		}
	}
	for pattern, advice := range map[string]string{
		"meta-data": `write "meta-data/**"`, "meta-data/": `write "meta-data/**"`, "Meta-data/**": `write "meta-data/**"`,
		"*": `write "meta-data/*"`, "placement/**": `write "meta-data/placement/**"`, "iam/": `write "meta-data/iam/**"`,
		"latest/meta-data/**": `write "meta-data/**"`, "latest/metadata/iam/**": `write "meta-data/iam/**"`, "latest/*/ami-id": `write "*/ami-id"`,
		"http://169.254.169.254/latest/meta-data/iam/**": `write "meta-data/iam/**"`,
		"dynamic/**": "remove it", "user-data": "remove it", "api/token": "begin it with meta-data/",
	} {
		if a, b := glob(pattern), includeGlob(pattern); a != "" || b != quote(pattern)+" can never match below meta-data/: "+advice {
			t.Errorf("%q: %q as a pattern, %q as an include", pattern, a, b)
		}
	}
	for pattern, want := range map[string]string{
		"": "an empty pattern matches nothing", "/meta-data/**": `"/meta-data/**"` + absolute + `: write "meta-data/**"`,
		"/latest/iam/**": `"/latest/iam/**"` + absolute + `: write "meta-data/iam/**"`, "/api/token": `"/api/token"` + absolute,
		"meta-data/{a": `"meta-data/{a"` + notValid, "meta-data/[a": `"meta-data/[a"` + notValid, `meta-data/\`: `"meta-data/\\"` + notValid,
	} {
		if a, b := glob(pattern), includeGlob(pattern); a != want || b != want {
			t.Errorf("%q: %q as a pattern, %q as an include, want %q", pattern, a, b, want)
		}
		if _, got := ruleGlob(pattern); pattern != "" && got != want || pattern == "" && got != "" {
			t.Errorf("%q as the path of a rule: %q", pattern, got)
		}
	}
}

func TestOnlyCredentials(t *testing.T) {
	for pattern, want := range map[string]bool{
		"meta-data/iam/security-credentials/**":                   true,
		"meta-data/iam/security-credentials/":                     true,
		"meta-data/identity-credentials/*/Security-Credentials/*": true,
		"meta-data/identity-credentials/**":                       false,
		"meta-data/{mac,iam/security-credentials/x}":              false,
		"**/security-credentials":                                 false, // a tag
		"meta-data/tags/instance/security-credentials":            false,
	} {
		if got := OnlyCredentials(pattern); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

func TestExcludesAll(t *testing.T) {
	for _, tt := range []struct {
		include, exclude string
		want             bool
	}{
		{"meta-data/**", "", false},
		{"meta-data/**", "meta-data/**", true},
		{"**", "meta-data/**", true}, // nothing else is collected by pattern
		{"meta-data/**", "**", true},
		{"meta-data/**", "meta-data/*", false},
		{"meta-data/**", "meta-data/*/x/**", false},
		{"meta-data/**", "meta-data/tags/**", false},
		{"meta-data/mac meta-data/tags/**", "meta-data/tags/** meta-data/mac", true},
		{"meta-data/mac meta-data/tags/instance/a*", "meta-data/tags/**", false},
	} {
		if got := ExcludesAll(strings.Fields(tt.include), strings.Fields(tt.exclude)); got != tt.want {
			t.Errorf("include %s, exclude %s: %v", tt.include, tt.exclude, got)
		}
	}
}

func TestDeadGlobs(t *testing.T) {
	const (
		never = " can never match below meta-data/: "
		rule  = " can match no path of IMDS: "
	)
	for _, tt := range []struct{ pattern, metadata, rule string }{
		{"**", "", ""},
		{"meta-data/iam/*", "", ""},
		{"{meta-data/a,user-data}", "", ""},
		{"meta-data/iam/", `"meta-data/iam/" matches no value, because only directories end in a slash: write "meta-data/iam/**"`, ""},
		{"iam/**", never + `write "meta-data/iam/**"`, rule + `write "meta-data/iam/**"`},
		{"latest/meta-data/**", never + `write "meta-data/**"`, ` must be relative to the version: write "meta-data/**"`},
		{"latest/dynamic/**", never + "remove it", ` must be relative to the version: write "dynamic/**"`},
		{"meta-data", never + `write "meta-data/**"`, rule + `write "meta-data/**"`},
		{"api/token", never + "begin it with meta-data/", rule + "begin it with meta-data/ or dynamic/"},
		{"dynamic/**", never + "remove it", ""},
		{"*/**", "", ""},
		{"user-data", never + "remove it", ""},
		{"user_data", never + "remove it", rule + `write "user-data"`},
	} {
		if got := DeadGlob(tt.pattern); got != quoted(tt.pattern, tt.metadata) {
			t.Errorf("DeadGlob(%q) = %q", tt.pattern, got)
		}
		if got := DeadRuleGlob(tt.pattern); got != quoted(tt.pattern, tt.rule) {
			t.Errorf("DeadRuleGlob(%q) = %q", tt.pattern, got)
		}
	}
	if got := DeadRuleGlob(""); got != "" {
		t.Errorf("a rule for every path: %q", got)
	}
}

// quoted puts a pattern before a message that begins with a space.
func quoted(pattern, message string) string {
	if strings.HasPrefix(message, " ") {
		return quote(pattern) + message
	}
	return message
}

func TestCheckClass(t *testing.T) {
	list := "classes are unreachable, blocked, local-error, connect-timeout, connection-refused, connection-reset, read-timeout, " +
		"disabled, bad-response, empty, mismatch, too-large, and the statuses from 400 to 599"
	for class, want := range map[string]string{
		"read-timeout": "<nil>", "503": "<nil>",
		"read-timout": `no class is "read-timout", did you mean "read-timeout"?`, "Read_Timeout": `no class is "Read_Timeout", did you mean "read-timeout"?`,
		"4xx": `no class is "4xx"; ` + list, "5XX": `no class is "5XX"; ` + list, "refused": `no class is "refused"; ` + list,
		"200": `no class is "200": an answer without a body is "empty"`, "interrupted": `"interrupted" is never the class of an attempt`,
	} {
		if got := fmt.Sprint(CheckClass(class)); got != want {
			t.Errorf("%q: %s, want %s", class, got, want)
		}
	}
}

func TestCheckPath(t *testing.T) {
	if err := CheckPath("meta-data/iam/info"); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"/meta-data/mac": `"/meta-data/mac" must be relative to the version: write "meta-data/mac", valid: ` + validPath,
		"iam/info":       `"iam/info" is not a path of IMDS, did you mean "meta-data/iam/info"?`,
	} {
		if err := CheckPath(path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
