// SPDX-License-Identifier: Apache-2.0

package schematest

import (
	"fmt"
	"strings"
	"testing"
)

// recorder is a test that remembers whether it failed.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper()                      {}
func (r *recorder) Errorf(f string, args ...any) { r.text += fmt.Sprintf(f, args...) }

func TestCheck(t *testing.T) {
	tests := []struct{ name, file, data, want string }{
		{"valid", "tags.json", `{"Name": "x"}`, ""},
		{"a wrong type", "tags.json", `{"Name": 1}`, "'/Name': got number, want string"},
		{"no JSON", "tags.json", `{"Name": `, "tags.json: reading JSON: "},
		{"more behind it", "tags.json", `{} {}`, "tags.json: reading JSON: "},
		{"no such schema", "cookies.json", `{}`, "cookies.json: "},
	}
	all := Load(t)
	if len(all) != 7 {
		t.Errorf("%d schemas, want 7", len(all))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, check := range map[string]func(testing.TB, string, []byte){"Check": Check, "Schemas.Check": all.Check} {
				r := &recorder{TB: t}
				check(r, tt.file, []byte(tt.data))
				if (r.text == "") != (tt.want == "") || !strings.Contains(r.text, tt.want) {
					t.Errorf("%s says %q, want %q", how, r.text, tt.want)
				}
			}
		})
	}
}
