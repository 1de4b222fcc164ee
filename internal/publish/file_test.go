// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Each file exists only if the collection has content for it.
func TestWhichFiles(t *testing.T) {
	const pkcs7 = "dynamic/instance-identity/pkcs7"
	tests := []struct {
		name     string
		in       map[string]string
		want     string
		problems string
	}{
		{name: "nothing", want: "imds.env"},
		{name: "the document", in: map[string]string{paths.Identity: "{}"}, want: "imds.env identity.json"},
		{
			name: "a document that is an array", in: map[string]string{paths.Identity: "[]"},
			want: "imds.env", problems: paths.Identity + " bad-response",
		},
		{
			name: "a document that is null", in: map[string]string{paths.Identity: "null"},
			want: "imds.env", problems: paths.Identity + " bad-response",
		},
		{
			name: "a document that is HTML", in: map[string]string{paths.Identity: "<html>"},
			want: "imds.env", problems: paths.Identity + " bad-response",
		},
		{
			name: "a document that is empty", in: map[string]string{paths.Identity: ""},
			want: "imds.env", problems: paths.Identity + " bad-response",
		},
		{
			name: "a document with trailing data", in: map[string]string{paths.Identity: "{}{}"},
			want: "imds.env", problems: paths.Identity + " bad-response",
		},
		{
			name: "a document that is not UTF-8", in: map[string]string{paths.Identity: "{\"a\": \"\xff\"}"},
			want: "imds.env", problems: paths.Identity + " not-utf8",
		},
		{name: "a listing", in: map[string]string{"meta-data/": ""}, want: "meta-data.json imds.env"},
		{name: "a leaf", in: map[string]string{"meta-data/a": ""}, want: "meta-data.json imds.env"},
		{name: "meta-data as a leaf", in: map[string]string{"meta-data": "x"}, want: "imds.env"},
		{
			name: "unknown paths", in: map[string]string{
				"dynamic/": "", "dynamic/fws/instance-monitoring": "disabled", "": "x", "/": "x",
				"/meta-data/a": "x", "meta-data-x/a": "x", "user-data/": "x", "x\xff": "\xff",
				"dynamic/instance-identity/document/": "{}",
			},
			want: "imds.env",
		},
		{
			name: "credentials only", in: map[string]string{"meta-data/iam/security-credentials/x": "y"},
			want: "imds.env",
		},
		{
			name: "tags", in: map[string]string{"meta-data/tags/instance/a": ""},
			want: "meta-data.json tags.json imds.env",
		},
		{
			name: "tags exposed, but empty", in: map[string]string{"meta-data/tags/instance/": ""},
			want: "meta-data.json tags.json imds.env",
		},
		{
			name: "tags not exposed", in: map[string]string{"meta-data/tags/": "", "meta-data/tags/instance": ""},
			want: "meta-data.json imds.env",
		},
		{
			name: "interfaces without a leaf", in: map[string]string{"meta-data/" + macDir: ""},
			want: "meta-data.json imds.env",
		},
		{
			name: "an interface", in: map[string]string{"meta-data/" + macDir + "mac": "x"},
			want: "meta-data.json network.json imds.env",
		},
		{name: "user-data", in: map[string]string{"user-data": ""}, want: "user-data imds.env"},
		{name: "a signature", in: map[string]string{pkcs7: "x"}, want: "signatures.json imds.env"},
		{
			name: "a signature that is not UTF-8", in: map[string]string{pkcs7: "\xff"},
			want: "imds.env", problems: pkcs7 + " not-utf8",
		},
		{
			name: "everything", in: map[string]string{
				"user-data": "x", pkcs7: "x", paths.Identity: "{}",
				"meta-data/tags/instance/a": "b", "meta-data/" + macDir + "mac": "x",
			},
			want: "user-data signatures.json meta-data.json network.json tags.json imds.env identity.json",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files(t, leaves(tt.in)) // for the schemas
			snap, problems := build(leaves(tt.in))
			var names []string
			for name := range snap.Files(snapshot.Ready) {
				names = append(names, name)
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("files %s, want %s", got, tt.want)
			}
			if problemText(problems) != tt.problems {
				t.Errorf("problems %q, want %q", problemText(problems), tt.problems)
			}
		})
	}
}

func TestModesAndSums(t *testing.T) {
	out, _ := files(t, instance(t))
	secret := []string{snapshot.UserDataFile, snapshot.SignaturesFile}
	for name, f := range out {
		if slices.Contains(secret, name) {
			if f.Mode() != 0o600 || f.Sum() != nil {
				t.Errorf("%s: mode %v, sum %v, want 0600 and nil", name, f.Mode(), f.Sum())
			}
			continue
		}
		if f.Mode() != 0o644 || f.Sum() == nil || len(*f.Sum()) != 64 {
			t.Errorf("%s: mode %v, sum %v, want 0644 and a digest", name, f.Mode(), f.Sum())
		}
	}
	// sha256sum of the three bytes "abc", FIPS 180-2, appendix B.1.
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := (File{Data: []byte("abc")}).Sum(); *got != want {
		t.Errorf("sum %s, want %s", *got, want)
	}
}

func TestFilesStopsWhenAsked(t *testing.T) {
	snap, _ := build(instance(t))
	n := 0
	for range snap.Files(snapshot.Ready) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d files, want 2", n)
	}
}

// The caller may reuse its buffers after Build.
func TestBuildCopiesItsInput(t *testing.T) {
	in := instance(t)
	snap, _ := build(in)
	before := maps.Collect(snap.Files(snapshot.Ready))
	for _, body := range in {
		for i := range body {
			body[i] = 'X'
		}
	}
	for name, f := range snap.Files(snapshot.Ready) {
		if string(f.Data) != string(before[name].Data) || strings.Contains(string(f.Data), "XXXX") {
			t.Errorf("%s changed with the caller's buffer", name)
		}
	}
}

func TestInstanceID(t *testing.T) {
	tests := []struct {
		name string
		in   map[string]string
		want string
	}{
		{"none", nil, ""},
		{"document", map[string]string{paths.Identity: `{"instanceId": "i-1"}`, "meta-data/instance-id": "i-2"}, "i-1"},
		{"meta-data", map[string]string{paths.Identity: `{}`, "meta-data/instance-id": "i-2"}, "i-2"},
		{"not a string", map[string]string{paths.Identity: `{"instanceId": 1}`}, ""},
		{"not clean", map[string]string{paths.Identity: `{"instanceId": "i-1\nIMDS_STATE=ready"}`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if snap, _ := build(leaves(tt.in)); snap.InstanceID() != tt.want {
				t.Errorf("%q, want %q", snap.InstanceID(), tt.want)
			}
		})
	}
	if id := (Snapshot{}).InstanceID(); id != "" {
		t.Errorf("the zero Snapshot has the ID %q", id)
	}
}
