// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// TestPresetNumbers: imds-ready.toml(5), the [retry] table for boot and the
// paragraph "Presets" for sdk, which names where aws-config says so.
func TestPresetNumbers(t *testing.T) {
	want := map[string]policy.Policy{
		"boot": {
			MaxAttempts: 0,
			Deadline:    5 * time.Minute,
			Backoff: policy.Backoff{
				Initial: 50 * time.Millisecond, Max: 500 * time.Millisecond, Multiplier: 2, Jitter: policy.JitterFull,
			},
			ConnectTimeout:       250 * time.Millisecond,
			ReadTimeout:          2 * time.Second,
			RetryConnectTimeouts: true,
			Eager:                true,
			Hedge:                500 * time.Millisecond,
			HonorRetryAfter:      true,
		},
		"sdk": {
			MaxAttempts: 4,                // DEFAULT_ATTEMPTS
			Deadline:    30 * time.Second, // DEFAULT_OPERATION_TIMEOUT
			Backoff: policy.Backoff{ // RetryConfig::standard()
				Initial: time.Second, Max: 20 * time.Second, Multiplier: 2, Jitter: policy.JitterFull,
			},
			ConnectTimeout: time.Second, // DEFAULT_CONNECT_TIMEOUT
			ReadTimeout:    time.Second, // DEFAULT_READ_TIMEOUT
		},
	}
	for _, name := range policy.PresetNames() {
		got := preset(t, name)
		got.Table = nil // the class table's business
		if !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want[name])
		}
	}
}

func TestUnknownPreset(t *testing.T) {
	for _, name := range []string{"", "Boot", "SDK", "aws", "boot "} {
		if p, ok := policy.Preset(name); ok || !reflect.DeepEqual(p, policy.Policy{}) {
			t.Errorf("Preset(%q) = %+v, %v, want nothing", name, p, ok)
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

// TestPresetTablesAreValid: a preset may not say what an operator could not.
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

// TestMethodsDoNotChangeThePolicy, as Policy promises: gates of several paths
// share one.
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
