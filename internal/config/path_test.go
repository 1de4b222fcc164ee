// SPDX-License-Identifier: Apache-2.0

package config

import "testing"

func TestRequirePath(t *testing.T) {
	const noPlace = "is not a path of IMDS"
	for _, tt := range []struct{ path, problem string }{
		{"dynamic/instance-identity/document", ""},
		{"meta-data/", ""},
		{"meta-data/ami-id", ""},
		{"meta-data/iam/info", ""},
		{"meta-data/iam/security-credentials/", ""},
		{"meta-data/iam/security-credentials-of-mine", ""},
		{"meta-data/identity-credentials/ec2/info", ""},
		{"meta-data/tags/instance/", ""},
		{"meta-data/tags/instance/a name", ""},
		{"meta-data/tags/instance/Größe", ""},
		{"meta-data/tags/instance/100%", ""},
		{"meta-data/public-keys/0/openssh-key", ""},
		{"user-data", ""},

		{"", "is empty"},
		{"/meta-data/ami-id", "begins with a slash: drop it"},
		{"/", "begins with a slash: drop it"},
		{"meta-data//ami-id", "has an empty segment"},
		{"meta-data/ami-id//", "has an empty segment"},
		{"meta-data/../user-data", `has a segment "." or ".."`},
		{"meta-data/./ami-id", `has a segment "." or ".."`},
		{"meta-data/..", `has a segment "." or ".."`},
		{"meta-data/ami\nid", "has a control character"},
		{"meta-data/ami\u0085id", "has a control character"},
		{"meta-data/*", "must be exact, without *, ?, [ and { of a glob"},
		{"meta-data/ami-i?", "must be exact, without *, ?, [ and { of a glob"},
		{"meta-data/[a]mi-id", "must be exact, without *, ?, [ and { of a glob"},
		{"meta-data/{ami-id}", "must be exact, without *, ?, [ and { of a glob"},
		{"latest/meta-data/ami-id", "begins with the version: drop latest/"},
		{"meta-data", noPlace + `, did you mean "meta-data/"?`},
		{"dynamic", noPlace + `, did you mean "dynamic/"?`},
		{"user-data/", noPlace + `, did you mean "user-data"?`},
		{"ami-id", noPlace + `, did you mean "meta-data/ami-id"?`},
		{"Meta-Data/ami-id", noPlace + `, did you mean "meta-data/ami-id"?`},
		{"api/token", noPlace},
		{"2021-07-15/meta-data/ami-id", "begins with the version: drop 2021-07-15/"},
		{"iam/info", noPlace + `, did you mean "meta-data/iam/info"?`},
		{"metadata/iam/info", noPlace + `, did you mean "meta-data/iam/info"?`},
		{"instance-identity/document", noPlace + `, did you mean "dynamic/instance-identity/document"?`},
		{"dynamics/x", noPlace + `, did you mean "dynamic/x"?`},
		{"user_data", noPlace + `, did you mean "user-data"?`},
		{"iam/security-credentials/", noPlace + `, did you mean "meta-data/iam/security-credentials/"?`},
		{"iam/security-credentials/my-role", noPlace},
		{
			"meta-data/iam/security-credentials",
			`is never fetched, because it holds credentials; "meta-data/iam/security-credentials/" with its final slash waits for a role`,
		},
		{
			"meta-data/iam/security-credentials/my-role",
			`is never fetched, because it holds credentials; "meta-data/iam/security-credentials/" waits for a role`,
		},
		{"meta-data/tags/instance/security-credentials", ""},
		{"meta-data/tags/security-credentials/x", "is never fetched, because it holds credentials"},
		{"dynamic/Security-Credentials", "is never fetched, because it holds credentials"},
		{"meta-data/identity-credentials/ec2/security-credentials", "is never fetched, because it holds credentials"},
		{"meta-data/identity-credentials/ec2/security-credentials/", "is never fetched, because it holds credentials"},
		{"meta-data/identity-credentials/ec2/security-credentials/ec2-instance", "is never fetched, because it holds credentials"},
	} {
		want := tt.path
		if tt.problem != "" {
			want = ""
		}
		got, problem := requirePath(tt.path)
		if problem != tt.problem || problem == "" && got != want {
			t.Errorf("%q: got %q, %q, want %q, %q", tt.path, got, problem, want, tt.problem)
		}
	}
}

func TestGlobs(t *testing.T) {
	const (
		notValid = " is not a valid glob: a bracket or brace is not closed, or it ends with a backslash"
		never    = ` can never match below meta-data/: begin it with meta-data/, as in "meta-data/**"`
		slash    = " begins with a slash: drop it"
		empty    = "an empty pattern matches nothing"
	)
	for _, tt := range []struct{ pattern, glob, include string }{
		{"meta-data/**", "", ""},
		{"meta-data/ami-id", "", ""},
		{"**", "", ""},
		{"**/ami-id", "", ""},
		{"*/ami-id", "", ""},
		{"meta*/**", "", ""},
		{"[lm]eta-data/**", "", ""},
		{"{meta-data,dynamic}/**", "", ""},
		{"{meta-data/a,dynamic/b}", "", ""},
		{"{dynamic/a,x}", "", ""}, // not looked into
		{"meta-data/{a,b/c}", "", ""},
		{"meta-data", "", `"meta-data"` + never},
		{"meta-data/", "", `"meta-data/"` + never},
		{"*", "", `"*"` + never},
		{"dynamic/**", "", `"dynamic/**"` + never},
		{"user-data", "", `"user-data"` + never},
		{"placement/**", "", `"placement/**"` + never},
		{"latest/meta-data/**", "", `"latest/meta-data/**"` + never},
		{"Meta-data/**", "", `"Meta-data/**"` + never},
		{"", empty, empty},
		{"/meta-data/**", `"/meta-data/**"` + slash, `"/meta-data/**"` + slash},
		{"meta-data/{a", `"meta-data/{a"` + notValid, `"meta-data/{a"` + notValid},
		{"meta-data/[a", `"meta-data/[a"` + notValid, `"meta-data/[a"` + notValid},
		{`meta-data/\`, `"meta-data/\\"` + notValid, `"meta-data/\\"` + notValid},
	} {
		if got := glob(tt.pattern); got != tt.glob {
			t.Errorf("%q as a pattern: got %q, want %q", tt.pattern, got, tt.glob)
		}
		if got := includeGlob(tt.pattern); got != tt.include {
			t.Errorf("%q as an include: got %q, want %q", tt.pattern, got, tt.include)
		}
	}
	if _, problem := ruleGlob(""); problem != "" {
		t.Errorf("a rule without a path: %s", problem)
	}
	if _, problem := ruleGlob("/a"); problem != `"/a"`+slash {
		t.Errorf("a rule's path with a slash: %s", problem)
	}
}
