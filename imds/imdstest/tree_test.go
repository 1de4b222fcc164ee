// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// crawl fetches what a client of listings would, credentials left out.
func crawl(t *testing.T, w wire, token, path string, got map[string]string) {
	t.Helper()
	answer, _ := w.send(t, getRequest("/latest/"+path, token))
	status, body := statusAndBody(answer)
	if status != "200 OK" {
		t.Errorf("%s: %s", path, status)
	}
	got[path] = body
	if !strings.HasSuffix(path, "/") {
		return
	}
	for entry := range strings.SplitSeq(body, "\n") {
		if strings.HasSuffix(entry, "security-credentials/") {
			continue
		}
		if strings.HasSuffix(path, "/public-keys/") {
			number, _, _ := strings.Cut(entry, "=")
			entry = number + "/"
		}
		crawl(t, w, token, path+entry, got)
	}
}

// The default tree is what a crawler would find on a real instance.
func TestDefaultTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		w := pipeWire(s)
		token, got := w.token(t), map[string]string{}
		crawl(t, w, token, "meta-data/", got)
		crawl(t, w, token, "dynamic/instance-identity/document", got)
		if len(got) < 85 || len(got) > 95 {
			t.Errorf("a crawl is %d paths, want about 90", len(got))
		}
		macs := strings.Split(got["meta-data/network/interfaces/macs/"], "\n")
		if len(macs) != 2 || got["meta-data/network/interfaces/macs/"+macs[0]+"device-number"] != "1" {
			t.Errorf("interfaces %q, want two, the second before the first", macs)
		}
		for _, path := range []string{
			"dynamic/instance-identity/document", "meta-data/iam/info", "meta-data/identity-credentials/ec2/info",
			"meta-data/events/maintenance/history", "meta-data/events/maintenance/scheduled",
		} {
			if !json.Valid([]byte(got[path])) {
				t.Errorf("%s is not JSON: %q", path, got[path])
			}
		}
		if !strings.Contains(got["dynamic/instance-identity/document"], `"instanceId" : "`+got["meta-data/instance-id"]+`"`) {
			t.Error("the document is another instance's")
		}
		for path, body := range got {
			if strings.HasSuffix(path, "/") && strings.HasSuffix(body, "\n") {
				t.Errorf("the listing %s ends in LF", path)
			}
		}
		for _, path := range []string{
			"user-data", "dynamic/instance-identity/pkcs7", "dynamic/instance-identity/signature", "dynamic/instance-identity/rsa2048",
			"meta-data/iam/security-credentials/web-role", "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
		} {
			if status, body := w.get(t, path); status != "200 OK" || body == "" {
				t.Errorf("%s: %s, %q", path, status, body)
			}
		}
	})
}

func TestTreeCopies(t *testing.T) {
	tree := DefaultTree()
	less := tree.Without("meta-data/tags/", "user-data", "meta-data/public-keys")
	if len(less) != len(tree)-6 {
		t.Errorf("%d of %d paths are left, want 6 fewer", len(less), len(tree))
	}
	for key := range less {
		if strings.HasPrefix(key, "meta-data/tags") || strings.HasPrefix(key, "meta-data/public-keys") || key == "user-data" {
			t.Errorf("%s is still there", key)
		}
	}
	less["user-data"] = "other"
	delete(less, "meta-data/mac")
	if !maps.Equal(tree, DefaultTree()) {
		t.Error("a change of the copy changed the original")
	}
}

// Listings of one's own, empty directories, and a leaf that is a directory too.
func TestOddTrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Tree{
			"meta-data/iam/security-credentials":      "role",
			"meta-data/iam/security-credentials/role": "{}",
			"meta-data/empty/":                        "",
			"meta-data/lies/":                         "../\nno\x00thing",
			"meta-data/lies/truth":                    "1",
			"":                                        "nowhere",
		})
		defer s.Close()
		w := pipeWire(s)
		for path, want := range map[string]string{
			"":                                    "meta-data/",
			"meta-data/":                          "empty/\niam/\nlies/",
			"meta-data/iam/":                      "security-credentials\nsecurity-credentials/",
			"meta-data/iam/security-credentials":  "role",
			"meta-data/iam/security-credentials/": "role",
			"meta-data/empty/":                    "",
			"meta-data/lies":                      "../\nno\x00thing",
			"meta-data/lies/truth":                "1",
		} {
			if status, body := w.get(t, path); status != "200 OK" || body != want {
				t.Errorf("%s: %s, %q, want %q", path, status, body, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := New(nil)
		defer s.Close()
		if status, _ := pipeWire(s).get(t, ""); status != "404 Not Found" {
			t.Errorf("an empty tree answers %s", status)
		}
	})
}

// keys of a tree in order, for messages.
func keys(t Tree) []string { return slices.Sorted(maps.Keys(t)) }
