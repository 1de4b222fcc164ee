// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// secrets returns the credentials of the default tree.
func secrets(t *testing.T) []string {
	var found []string
	for path, body := range imdstest.DefaultTree() {
		if !strings.Contains(path, "security-credentials") {
			continue
		}
		for line := range strings.Lines(body) {
			if _, value, ok := strings.Cut(line, " : "); ok && (strings.Contains(line, "Secret") || strings.Contains(line, `"Token"`)) {
				found = append(found, strings.Trim(value, "\",\n "))
			}
		}
	}
	if len(found) < 2 {
		t.Fatalf("the default tree has no credentials: %q", found)
	}
	return found
}

// wantNoSecrets checks that no credential is in a file, the log or a datagram.
func (tr *trial) wantNoSecrets(t *testing.T) {
	t.Helper()
	text := tr.log
	for _, n := range tr.datagrams {
		text += n.state
	}
	for _, name := range tr.names(t) {
		data, err := os.ReadFile(filepath.Join(tr.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	for _, s := range secrets(t) {
		if strings.Contains(text, s) {
			t.Error("a credential leaked")
		}
	}
}

// Neither credentials nor their listings are ever fetched, even if include matches them.
func TestCredentialsAreNeverFetched(t *testing.T) {
	for name, include := range map[string][]string{
		"by default":          {"meta-data/**"},
		"included":            {"meta-data/iam/security-credentials/**", "meta-data/identity-credentials/**"},
		"everything included": {"**"},
		"each included":       {"meta-data/iam/security-credentials/web-role", "meta-data/identity-credentials/ec2/security-credentials/ec2-instance"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := faulty(t, "")
			tr.config.Metadata.Include = include
			tr.run(t)
			for _, path := range tr.requestedPaths() {
				if strings.Contains(path, "security-credentials") {
					t.Errorf("%s was requested", path)
				}
			}
			tr.wantNoSecrets(t)
		})
	}
}

// A required listing of roles checks that there is a role that works, and stores nothing
// of it. The collection ignores it.
func TestCredentialsRequired(t *testing.T) {
	tr := faulty(t, "503@meta-data/iam/security-credentials/*x1,ok").require("meta-data/iam/security-credentials/").run(t)
	var requested []string
	for _, path := range tr.requestedPaths() {
		if strings.Contains(path, "security-credentials") {
			requested = append(requested, path)
		}
	}
	const listing, role = "meta-data/iam/security-credentials/", "meta-data/iam/security-credentials/web-role"
	if got := strings.Join(requested, " "); got != listing+" "+role+" "+listing+" "+role {
		t.Errorf("requested %s", got)
	}
	if tr.exit != 0 || tr.status.Attempts != 3 || tr.status.Errors["503"] != 1 {
		t.Errorf("exit %d, status %+v", tr.exit, tr.status)
	}
	if iam := tr.object(t, "meta-data.json")["iam"].(map[string]any); len(iam) != 1 || iam["info"] == nil {
		t.Errorf("iam: %v", iam)
	}
	tr.wantNoSecrets(t)
}

// The error about a role that does not work contains no credential.
func TestCredentialsRequiredFailing(t *testing.T) {
	tree := imdstest.DefaultTree()
	const role = "meta-data/iam/security-credentials/web-role"
	tree[role] = strings.Replace(tree[role], "Success", "AssumeRoleUnauthorizedAccess", 1)
	tr := newTrial(t, imdstest.New(tree)).require("meta-data/iam/security-credentials/").limits(2, 0).run(t)
	if tr.exit != 76 || !strings.Contains(tr.status.LastError.Message, "AssumeRoleUnauthorizedAccess") {
		t.Errorf("exit %d, last error %+v", tr.exit, tr.status.LastError)
	}
	tr.wantNoSecrets(t)
}
