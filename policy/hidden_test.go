// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"slices"
	"testing"

	"github.com/imds-ready/imds-ready/policy"
)

func TestHiddenBy(t *testing.T) {
	for _, tt := range []struct {
		name    string
		earlier []policy.Rule
		rule    policy.Rule
		want    []int
	}{
		{"alone", nil, rule("fail", "", "404"), nil},
		{"the same", []policy.Rule{rule("retry", "", "404")}, rule("fail", "", "404"), []int{1}},
		{"a range", []policy.Rule{rule("retry", "", "4xx")}, rule("fail", "", "403", "disabled"), []int{1}},
		{"a part of a range", []policy.Rule{rule("retry", "", "404")}, rule("fail", "", "4xx"), nil},
		{"403 is also disabled", []policy.Rule{rule("retry", "", "403")}, rule("fail", "", "disabled"), []int{1}},
		{"disabled is not every 403", []policy.Rule{rule("retry", "", "disabled")}, rule("fail", "", "403"), nil},
		{"two together", []policy.Rule{rule("retry", "", "503"), rule("retry", "", "404")}, rule("fail", "user-data", "404", "503"), []int{1, 2}},
		{"one class is left", []policy.Rule{rule("retry", "", "503")}, rule("fail", "", "503", "404"), nil},
		{"everything", []policy.Rule{rule("retry", "**", "404")}, rule("fail", "", "404"), []int{1}},
		{"other paths are left", []policy.Rule{rule("retry", "meta-data/**", "404")}, rule("fail", "", "404"), nil},
		{"a path below", []policy.Rule{rule("retry", "meta-data/**", "404")}, rule("fail", "meta-data/mac", "404"), []int{1}},
		{"a glob below", []policy.Rule{rule("retry", "meta-data/**", "404")}, rule("fail", "meta-data/iam/*", "404"), []int{1}},
		{"a glob elsewhere", []policy.Rule{rule("retry", "meta-data/iam/**", "404")}, rule("fail", "meta-data/*", "404"), nil},
		{"a star is not two", []policy.Rule{rule("retry", "meta-data/*", "404")}, rule("fail", "meta-data/**", "404"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policy.Boot()
			p.Rules = append(slices.Clone(tt.earlier), tt.rule)
			if got := p.HiddenBy(len(p.Rules)); !slices.Equal(got, tt.want) {
				t.Errorf("hidden by %v, want %v", got, tt.want)
			}
		})
	}
}
