// SPDX-License-Identifier: Apache-2.0

package config

import (
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
		"begins with a slash: drop it":                   {"/meta-data/ami-id", "/"},
		"has an empty segment":                           {"meta-data//ami-id", "meta-data/ami-id//"},
		`has a segment "." or ".."`:                      {"meta-data/../user-data", "meta-data/./ami-id", "meta-data/.."},
		"has a control character":                        {"meta-data/ami\nid", "meta-data/ami\u0085id"},
		"must be exact, without *, ?, [ and { of a glob": {"meta-data/*", "meta-data/ami-i?", "meta-data/[a]mi-id", "meta-data/{ami-id}"},
		"begins with the version: drop latest/":          {"latest/meta-data/ami-id"},
		"begins with the version: drop 2021-07-15/":      {"2021-07-15/meta-data/ami-id"},

		noPlace:                                  {"api/token", "iam/security-credentials/my-role"},
		noPlace + `, did you mean "meta-data/"?`: {"meta-data", "metadata"},
		noPlace + `, did you mean "meta-data/ami-id"?`:                    {"ami-id", "Meta-Data/ami-id", "meta_data/ami-id"},
		noPlace + `, did you mean "meta-data/iam/info"?`:                  {"iam/info"},
		noPlace + `, did you mean "meta-data/iam/security-credentials/"?`: {"iam/security-credentials/"},
		"would be in no file: of dynamic/, only dynamic/instance-identity/document, pkcs7, rsa2048 and signature can be required": {
			"dynamic/fws/instance-monitoring", "dynamic/instance-identity/", "dynamic/",
		},
		noPlace + `, did you mean "dynamic/instance-identity/document"?`: {"dynamic", "instance-identity/document", "dynamics/instance-identity/document"},
		noPlace + `, did you mean "user-data"?`:                          {"user-data/", "user_data"},
		roles + ` with its final slash waits for a role`:                 {"meta-data/iam/security-credentials"},
		roles + ` waits for a role`:                                      {"meta-data/iam/security-credentials/my-role"},
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
		never    = ` can never match below meta-data/: begin it with meta-data/, as in "meta-data/**"`
		slash    = " begins with a slash: drop it"
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
	for _, pattern := range []string{
		"meta-data", "meta-data/", "*", "dynamic/**", "user-data", "placement/**", "latest/meta-data/**", "Meta-data/**",
	} {
		if a, b := glob(pattern), includeGlob(pattern); a != "" || b != `"`+pattern+`"`+never {
			t.Errorf("%q: %q as a pattern, %q as an include", pattern, a, b)
		}
	}
	for pattern, want := range map[string]string{
		"": "an empty pattern matches nothing", "/meta-data/**": `"/meta-data/**"` + slash,
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
		never = ` can never match below meta-data/: begin it with meta-data/, as in "meta-data/**"`
		rule  = ` can match no path of IMDS: begin it with meta-data/ or dynamic/, as in "meta-data/iam/**"`
	)
	for _, tt := range []struct{ pattern, metadata, rule string }{
		{"**", "", ""},
		{"meta-data/iam/*", "", ""},
		{"{meta-data/a,user-data}", "", ""},
		{"meta-data/iam/", `"meta-data/iam/" matches no value, because only directories end in a slash: write "meta-data/iam/**"`, ""},
		{"iam/**", never, rule},
		{"latest/meta-data/**", never, rule},
		{"meta-data", never, rule},
		{"dynamic/**", never, ""},
		{"*/**", "", ""},
		{"user-data", never, ""},
		{"user-data/x", never, rule},
	} {
		if got := DeadGlob(tt.pattern); got != quoted(tt.pattern, tt.metadata, never) {
			t.Errorf("DeadGlob(%q) = %q", tt.pattern, got)
		}
		if got := DeadRuleGlob(tt.pattern); got != quoted(tt.pattern, tt.rule, rule) {
			t.Errorf("DeadRuleGlob(%q) = %q", tt.pattern, got)
		}
	}
	if got := DeadRuleGlob(""); got != "" {
		t.Errorf("a rule for every path: %q", got)
	}
}

// quoted puts a pattern before the end of a message that names it.
func quoted(pattern, message, end string) string {
	if message == end {
		return quote(pattern) + end
	}
	return message
}

func TestCheckPath(t *testing.T) {
	if err := CheckPath("meta-data/iam/info"); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"/meta-data/mac": `"/meta-data/mac" begins with a slash: drop it, valid: ` + validPath,
		"iam/info":       `"iam/info" is not a path of IMDS, did you mean "meta-data/iam/info"?`,
	} {
		if err := CheckPath(path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
