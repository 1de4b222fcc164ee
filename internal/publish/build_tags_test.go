// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

func TestTags(t *testing.T) {
	out, problems := files(t, metaData(map[string]string{
		"tags/instance/Name": "web-1", "tags/instance/empty": "", "tags/instance/number": "1",
		"tags/instance/json": `{"a": 1}`, "tags/instance/lines": "a\nb\n", "tags/instance/<&>": "<&>",
		"tags/instance/bad": "\xff", "tags/instance/dir/x": "y", "tags/elsewhere": "z",
	}))
	want := "{\n" + `  "<&>": "<&>",
  "Name": "web-1",
  "empty": "",
  "json": "{\"a\": 1}",
  "lines": "a\nb",
  "number": "1"` + "\n}\n"
	if got := string(out[snapshot.TagsFile].Data); got != want {
		t.Errorf("tags.json is\n%s\nwant\n%s", got, want)
	}
	if got := problemText(problems); got != "meta-data/tags/instance/bad not-utf8" {
		t.Errorf("problems: %s", got)
	}
}

// The signatures are of the bytes of the document, so signatures.json contains these as
// served, although identity.json is formatted.
func TestSignatures(t *testing.T) {
	const dir = "dynamic/instance-identity/"
	const body = "{ \"b\":1.0,\r\n\"a\" : \"<\u2028>\" }\n"
	tests := []struct {
		name string
		in   map[string]string
		want string
	}{
		{
			"all",
			map[string]string{"document": body, "pkcs7": "a\nb", "rsa2048": "c", "signature": "d"},
			`{"document":"{ \"b\":1.0,\r\n\"a\" : \"\u003c\u2028\u003e\" }\n","pkcs7":"a\nb","rsa2048":"c","signature":"d"}`,
		},
		{
			"one, and no document",
			map[string]string{"signature": ""},
			`{"document":null,"pkcs7":null,"rsa2048":null,"signature":""}`,
		},
		{
			"one of them broken",
			map[string]string{"document": "\xff", "pkcs7": "\xff", "rsa2048": "c"},
			`{"document":null,"pkcs7":null,"rsa2048":"c","signature":null}`,
		},
		{
			"a document that is no JSON",
			map[string]string{"document": "<html>", "rsa2048": "c"},
			`{"document":"\u003chtml\u003e","pkcs7":null,"rsa2048":"c","signature":null}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := map[string][]byte{}
			for name, body := range tt.in {
				in[dir+name] = []byte(body)
			}
			out, _ := files(t, in)
			if got := compact(t, out[snapshot.SignaturesFile]); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if strings.Contains(string(out[snapshot.SignaturesFile].Data), `\u003c`) {
				t.Errorf("HTML escapes in %s", out[snapshot.SignaturesFile].Data)
			}
		})
	}
}
