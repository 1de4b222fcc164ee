// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

const macDir = "network/interfaces/macs/02:00:00:00:00:01/"

// The type of a key depends only on its path (imds-ready-files(5)), so the same body has
// different types at different paths.
func TestTypeDependsOnPath(t *testing.T) {
	const (
		text  = `"[1]\n2"`
		array = `["[1]","2"]`
	)
	tests := []struct{ path, want string }{
		{"instance-id", text},
		{"security-groups", array},
		{"product-codes", array},
		{"ancestor-ami-ids", array},
		{"iam/security-groups", text},
		{"iam/infos", text},
		{"placement/product-codes", text},
		{"network/interfaces/macs/security-groups", text},
		{macDir + "security-groups", array},
		{macDir + "security-group-ids", array},
		{macDir + "local-ipv4s", array},
		{macDir + "public-ipv4s", array},
		{macDir + "ipv6s", array},
		{macDir + "ipv4-prefix", array},
		{macDir + "ipv6-prefix", array},
		{macDir + "ipv4-associations/192.0.2.1", array},
		{macDir + "vpc-ipv4-cidr-blocks", array},
		{macDir + "vpc-ipv6-cidr-blocks", array},
		{macDir + "subnet-ipv6-cidr-blocks", array},
		{macDir + "vpc-ipv4-cidr-block", text},
		{macDir + "subnet-ipv4-cidr-block", text},
		{macDir + "mac", text},
		{macDir + "ipv4-associations", text},
		{macDir + "product-codes", text},
		{macDir + "new/local-ipv4s", text},
		{"vpc-ipv4-cidr-blocks", text},
		{"tags/instance/security-groups", text},
		{"events/maintenance", text},
		{"spot/termination-time", text},
		{"public-keys/0/name", text},
		{"public-keys/0/openssh-key", text},
		{"identity-credentials/rds/info", text},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			out, problems := files(t, metaData(map[string]string{tt.path: "[1]\n2"}))
			if want := nest(tt.path, tt.want); compact(t, out[snapshot.MetaDataFile]) != want {
				t.Errorf("%s, want %s", compact(t, out[snapshot.MetaDataFile]), want)
			}
			if len(problems) != 0 {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

// JSON documents are parsed at every path whose type is a document.
func TestDocuments(t *testing.T) {
	paths := []string{
		"iam/info", "identity-credentials/ec2/info", "spot/instance-action",
		"events/maintenance/scheduled", "events/maintenance/history",
		"events/recommendations/rebalance",
	}
	tests := []struct{ name, body, want, class string }{
		{"object", `{"b": 1, "a": [null, true]}`, `{"a":[null,true],"b":1}`, ""},
		{"array", ` [ ] ` + "\n", `[]`, ""},
		{"null", `null`, `null`, ""},
		{"string", `"x"`, `"x"`, ""},
		{"empty", ``, "", classBadResponse},
		{"white space", " \n", "", classBadResponse},
		{"truncated", `{"a": 1`, "", classBadResponse},
		{"trailing garbage", `{} x`, "", classBadResponse},
		{"two values", `{} {}`, "", classBadResponse},
		{"html", `<!DOCTYPE html>`, "", classBadResponse},
		{"not UTF-8", "{\"a\": \"\xff\"}", "", classNotUTF8},
		{"NUL", "{\"a\": 1}\x00", "", classBadResponse},
	}
	for _, path := range paths {
		for _, tt := range tests {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				out, problems := files(t, metaData(map[string]string{"instance-id": "i-1", path: tt.body}))
				got := compact(t, out[snapshot.MetaDataFile])
				if tt.class != "" {
					if want := "meta-data/" + path + " " + tt.class; problemText(problems) != want {
						t.Errorf("problems %q, want %q", problemText(problems), want)
					}
					if last := path[strings.LastIndexByte(path, '/')+1:]; strings.Contains(got, last) {
						t.Errorf("%s has %s", got, last)
					}
					return
				}
				want := strings.TrimSuffix(nest(path, tt.want), "}") + `,"instance-id":"i-1"}`
				if path == "spot/instance-action" { // is sorted last
					want = `{"instance-id":"i-1",` + nest(path, tt.want)[1:]
				}
				if got != want || len(problems) != 0 {
					t.Errorf("%s %v, want %s", got, problems, want)
				}
			})
		}
	}
}

// nest returns the JSON of a value below the directories of path.
func nest(path, value string) string {
	segs := strings.Split(path, "/")
	var b strings.Builder
	for _, s := range segs {
		b.WriteString(`{"` + s + `":`)
	}
	return b.String() + value + strings.Repeat("}", len(segs))
}

func TestTree(t *testing.T) {
	tests := []struct {
		name     string
		in       map[string]string
		want     string
		problems string
	}{
		{
			name: "an empty directory", in: map[string]string{"": "", "tags/instance/": "ignored"},
			want: `{"tags":{"instance":{}}}`,
		},
		{name: "an empty listing", in: map[string]string{"": "x"}, want: `{}`},
		{name: "empty is not absent", in: map[string]string{"kernel-id": ""}, want: `{"kernel-id":""}`},
		{
			name: "an empty list", in: map[string]string{"product-codes": ""},
			want: `{"product-codes":[]}`,
		},
		{
			name: "a list with a final LF", in: map[string]string{"product-codes": "a\nb\n"},
			want: `{"product-codes":["a","b"]}`,
		},
		{
			name: "empty lines inside stay", in: map[string]string{"product-codes": "a\n\nb\r\n\n"},
			want: `{"product-codes":["a","","b",""]}`,
		},
		{
			name: "a string ends before its final LF", in: map[string]string{"public-keys/0/openssh-key": "ssh x\n"},
			want: `{"public-keys":{"0":{"openssh-key":"ssh x"}}}`,
		},
		{
			name: "x and x/", in: map[string]string{"a": "leaf", "a/": ""},
			want: `{"a":{}}`,
		},
		{
			name: "x and x/y", in: map[string]string{"a": "leaf", "a/b": "c"},
			want: `{"a":{"b":"c"}}`,
		},
		{
			name: "x and an invalid x/y", in: map[string]string{"a": "leaf", "a/b": "\xff"},
			want: `{"a":{}}`, problems: "meta-data/a/b not-utf8",
		},
		{
			name: "a list cannot be a directory", in: map[string]string{"security-groups/": "", "mac": "m"},
			want: `{"mac":"m"}`, problems: "meta-data/security-groups bad-response",
		},
		{
			name: "a document cannot be a directory", in: map[string]string{"iam/info/x/y": "1", "iam/info/z": "2", "mac": "m"},
			want: `{"mac":"m"}`, problems: "meta-data/iam/info bad-response",
		},
		{
			name: "a list below an interface cannot be a directory", in: map[string]string{macDir + "ipv6s/::1": "x", "mac": "m"},
			want: `{"mac":"m"}`, problems: "meta-data/" + macDir + "ipv6s bad-response",
		},
		{
			name: "empty and dot segments are rejected", in: map[string]string{
				"a//b": "x", "..": "x", "a/../b": "x", "./c": "x", "/d": "x", "e//": "x", "f": "ok",
			},
			want: `{"f":"ok"}`,
			problems: "meta-data/.. bad-response, meta-data/./c bad-response, meta-data//d bad-response, " +
				"meta-data/a/../b bad-response, meta-data/a//b bad-response, meta-data/e// bad-response",
		},
		{
			name: "control characters in a path", in: map[string]string{"a\x1b[2J": "x", "b\n": "x", "f": "ok"},
			want: `{"f":"ok"}`, problems: "meta-data/a\ufffd[2J bad-response, meta-data/b\ufffd bad-response",
		},
		{
			name: "a path that is not UTF-8", in: map[string]string{"a\xff": "x", "f": "ok"},
			want: `{"f":"ok"}`, problems: "meta-data/a\ufffd not-utf8",
		},
		{
			name: "a value that is not UTF-8", in: map[string]string{"a": "\xc3\x28", "f": "ok"},
			want: `{"f":"ok"}`, problems: "meta-data/a not-utf8",
		},
		{
			name: "a list that is not UTF-8", in: map[string]string{"product-codes": "a\n\xff", "f": "ok"},
			want: `{"f":"ok"}`, problems: "meta-data/product-codes not-utf8",
		},
		{
			name: "a path that is too deep", in: map[string]string{strings.Repeat("a/", 40) + "b": "x", "f": "ok"},
			want: `{"f":"ok"}`, problems: "meta-data/" + strings.Repeat("a/", 40) + "b bad-response",
		},
		{
			name: "problems are sorted", in: map[string]string{"z": "\xff", "b": "\xff", "iam/info": "x", "f": "ok"},
			want:     `{"f":"ok","iam":{}}`,
			problems: "meta-data/b not-utf8, meta-data/iam/info bad-response, meta-data/z not-utf8",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, problems := files(t, metaData(tt.in))
			got := compact(t, out[snapshot.MetaDataFile])
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if problemText(problems) != tt.problems {
				t.Errorf("problems %q, want %q", problemText(problems), tt.problems)
			}
		})
	}
}
