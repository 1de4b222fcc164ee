// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

func TestUnknownPreset(t *testing.T) {
	for _, name := range []string{"", "Boot", "SDK", "aws", "boot "} {
		if p, ok := policy.Preset(name); ok || !reflect.DeepEqual(p, policy.Policy{}) {
			t.Errorf("Preset(%q) = %+v, %v, want the zero Policy", name, p, ok)
		}
	}
}

func TestPresetsAreFresh(t *testing.T) {
	for _, name := range policy.PresetNames() {
		first, second := preset(t, name), preset(t, name)
		first.Rules = append(first.Rules, rule(policy.Fail, "", "503"))
		first.Backoff.Max, first.MaxAttempts = 1, 1
		for i := range first.Table {
			first.Table[i].Action = policy.Absent
			for j := range first.Table[i].On {
				first.Table[i].On[j] = "410"
			}
		}
		if third := preset(t, name); !reflect.DeepEqual(second, third) {
			t.Errorf("%s: a change of one value shows in the next: %+v", name, third)
		}
		if got := second.Decide(required("503")); got != policy.Retry {
			t.Errorf("%s: a change of one value shows in another: 503 is %s", name, got)
		}
	}
}

// A preset may only have what an operator could write.
func TestPresetTablesAreValid(t *testing.T) {
	for _, name := range policy.PresetNames() {
		for _, row := range preset(t, name).Table {
			if !slices.Contains(policy.Actions(), row.Action) {
				t.Errorf("%s: action %q", name, row.Action)
			}
			for _, on := range row.On {
				if err := policy.CheckOn(on); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// Several paths share one Policy, so its methods must not change it.
func TestMethodsDoNotChangeThePolicy(t *testing.T) {
	p, want := preset(t, "boot"), preset(t, "boot")
	p.Rules, want.Rules = []policy.Rule{rule(policy.Retry, "**", "4xx")}, []policy.Rule{rule(policy.Retry, "**", "4xx")}
	budget := p.Budget()
	for _, c := range attemptClasses() {
		p.Decide(required(c))
		budget.Next(required(c), time.Second)
	}
	steps := 0
	for range p.Timeline(required("404"), time.Second) {
		steps++
	}
	if !reflect.DeepEqual(p, want) || steps == 0 {
		t.Errorf("after use (%d steps): %+v\nwant %+v", steps, p, want)
	}
}
