// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Numbers are not converted to float64, which would change an account or a counter of 17
// or more digits.
func TestNumbersSurvive(t *testing.T) {
	const body = `{"z": 12345678901234567890123, "b": 1.0, "c": -0, "d": 1e400, "e": 0.1000, "a": 9007199254740993}`
	const want = `{
  "a": 9007199254740993,
  "b": 1.0,
  "c": -0,
  "d": 1e400,
  "e": 0.1000,
  "z": 12345678901234567890123
}
`
	out, problems := files(t, leaves(map[string]string{paths.Identity: body, "meta-data/iam/info": body}))
	if got := string(out[snapshot.IdentityFile].Data); got != want || len(problems) != 0 {
		t.Errorf("identity.json is %s %v, want %s", got, problems, want)
	}
	if got := string(out[snapshot.MetaDataFile].Data); !strings.Contains(got, `"d": 1e400`) || !strings.Contains(got, "12345678901234567890123") {
		t.Errorf("meta-data.json is %s", got)
	}
}

// Deep nesting is rejected: with indentation, 100 kB of brackets would become gigabytes.
func TestNestingIsBounded(t *testing.T) {
	tower := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	tests := []struct {
		name, body, problems string
	}{
		{"16 arrays", tower(16), ""},
		{"17 arrays", tower(17), "meta-data/iam/info bad-response"},
		{"16 objects", objects(16), ""},
		{"17 objects", objects(17), "meta-data/iam/info bad-response"},
		{"16 in width", "[" + strings.Repeat(tower(15)+",", 99) + tower(15) + "]", ""},
		{"the last of many", "[" + strings.Repeat("[],", 99) + tower(16) + "]", "meta-data/iam/info bad-response"},
		{"9999 arrays", tower(9999), "meta-data/iam/info bad-response"},
		{"50000 arrays", tower(50000), "meta-data/iam/info bad-response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := build(metaData(map[string]string{"iam/info": tt.body}))
			if problemText(problems) != tt.problems {
				t.Errorf("problems %q, want %q", problemText(problems), tt.problems)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	data, err := encode(map[string]any{"b": "<&>\u00e9\x00", "a": []string{}, "c": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"a\": [],\n  \"b\": \"<&>\u00e9\\u0000\",\n  \"c\": {}\n}\n"
	if string(data) != want {
		t.Errorf("%s, want %s", data, want)
	}
}
