// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/policy"
)

func rule(action policy.Action, path string, on ...string) policy.Rule {
	return policy.Rule{On: on, Path: path, Action: action}
}

func TestRuleOn(t *testing.T) {
	for _, tt := range []struct {
		on       string // space-separated
		matches  string
		mismatch string
	}{
		{"404", "404", "403 400 405 disabled bad-response"},
		{"403", "403 disabled", "401 404"},
		{"disabled", "disabled", "403 401 404"}, // a 403 to another path does not mean that IMDS is disabled
		{"4xx", "400 401 403 404 429 499 disabled", "500 empty blocked bad-response too-large"},
		{"5xx", "500 503 511 599", "499 disabled read-timeout too-large"},
		{"4xx 503", "404 503 disabled", "500 504"},
		{"connect-timeout read-timeout", "connect-timeout read-timeout", "connection-refused connection-reset 408"},
		{"", "", "404 503 disabled unreachable"}, // without an entry, nothing matches
	} {
		t.Run(tt.on, func(t *testing.T) {
			p := preset(t, "boot")
			p.Table = []policy.Row{}
			p.Rules = []policy.Rule{rule(policy.Absent, "", strings.Fields(tt.on)...)}
			for class := range strings.FieldsSeq(tt.matches) {
				if got := p.Decide(required(policy.Class(class))); got != policy.Absent {
					t.Errorf("%s is not matched: %s", class, got)
				}
			}
			for class := range strings.FieldsSeq(tt.mismatch) {
				if got := p.Decide(required(policy.Class(class))); got != policy.Fail {
					t.Errorf("%s is matched: %s", class, got)
				}
			}
		})
	}
}

// Globs match the path below "/latest/". The final "/" of a listing is a segment of its
// own (imds-ready.toml(5), [[require]]).
func TestRulePath(t *testing.T) {
	for _, tt := range []struct{ glob, matches, mismatch string }{
		{"", "user-data meta-data/iam/info meta-data/iam/", ""},
		{"**", "user-data meta-data/iam/info meta-data/iam/ meta-data/", ""},
		{
			"meta-data/iam/**", "meta-data/iam/info meta-data/iam/ meta-data/iam/security-credentials/ meta-data/iam/a/b/c",
			"meta-data/iamb meta-data/ meta-data/mac user-data dynamic/meta-data/iam/info",
		},
		{"meta-data/iam/security-credentials/", "meta-data/iam/security-credentials/", "meta-data/iam/security-credentials meta-data/iam/security-credentials/role"},
		{"meta-data/iam/*", "meta-data/iam/info", "meta-data/iam/security-credentials/ meta-data/iam/a/b meta-data/mac"},
		{"meta-data/iam/*/", "meta-data/iam/security-credentials/", "meta-data/iam/info"},
		{"meta-data/**/*-ipv4s", "meta-data/local-ipv4s meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/public-ipv4s", "meta-data/local-ipv4"},
		{"meta-data/network/interfaces/macs/*/mac", "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac", "meta-data/network/interfaces/macs/mac"},
		{"{user-data,dynamic/**}", "user-data dynamic/instance-identity/document", "meta-data/mac"},
		{"meta-data/tags/instance/[Nn]am?", "meta-data/tags/instance/Name meta-data/tags/instance/name", "meta-data/tags/instance/NAME"},
		{"meta-data/ami-id", "meta-data/ami-id", "meta-data/AMI-ID meta-data/ami-id/ meta-data/ami"},
		{"/meta-data/**", "", "meta-data/mac"},
		{"latest/meta-data/**", "", "meta-data/mac"}, // the path begins below "/latest/"
	} {
		t.Run(tt.glob, func(t *testing.T) {
			p := policy.Policy{Table: []policy.Row{}, Rules: []policy.Rule{rule(policy.Absent, tt.glob, "503")}}
			for _, token := range []bool{false, true} { // a failed PUT has the path that needed the token
				for path := range strings.FieldsSeq(tt.matches) {
					if got := p.Decide(policy.Failure{Class: "503", Path: path, Token: token}); got != policy.Absent {
						t.Errorf("%s is not matched: %s", path, got)
					}
				}
				for path := range strings.FieldsSeq(tt.mismatch) {
					if got := p.Decide(policy.Failure{Class: "503", Path: path, Token: token}); got != policy.Fail {
						t.Errorf("%s is matched: %s", path, got)
					}
				}
			}
		})
	}
}

// FuzzRulePath checks that a glob without special characters matches only itself, and
// that no glob makes Decide panic.
func FuzzRulePath(f *testing.F) {
	f.Add("meta-data/iam/", "meta-data/iam/info")
	f.Add("meta-data/**", "meta-data/")
	f.Add("[", "{a,b")
	f.Add("**/{a,**}/[!z-", "a//b")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, glob, path string) {
		p := policy.Policy{Table: []policy.Row{}, Rules: []policy.Rule{rule(policy.Absent, glob, "503")}}
		got := p.Decide(policy.Failure{Class: "503", Path: path})
		// doublestar treats all invalid bytes as the same rune. TOML has none.
		if glob == "" || strings.ContainsAny(glob, `*?[]{}\`) || strings.ContainsRune(glob, utf8.RuneError) {
			return
		}
		if matched := got == policy.Absent; matched != (glob == path) {
			t.Errorf("glob %q and path %q: %s", glob, path, got)
		}
	})
}

func TestRuleOrder(t *testing.T) {
	rules := []policy.Rule{
		rule(policy.Absent, "meta-data/iam/**", "404"),
		rule(policy.Fail, "", "404"),
		rule(policy.Wait, "", "404", "503"),
		rule(policy.Retry, "", "503", "403"),
	}
	tests := []struct {
		class policy.Class
		path  string
		want  policy.Action
	}{
		{"404", "meta-data/iam/info", policy.Absent},
		{"404", "meta-data/mac", policy.Fail},
		{"503", "meta-data/iam/info", policy.Wait},
		{"403", "meta-data/mac", policy.Retry},
		{"disabled", "meta-data/mac", policy.Retry},
		{"429", "meta-data/mac", policy.Retry}, // by the table of boot
		{"410", "meta-data/mac", policy.Fail},  // in neither
	}
	p := preset(t, "boot")
	p.Rules = rules
	for _, tt := range tests {
		f := policy.Failure{Class: tt.class, Path: tt.path, Required: true, Headers: true}
		if got := p.Decide(f); got != tt.want {
			t.Errorf("%s on %s: %s, want %s", tt.class, tt.path, got, tt.want)
		}
	}
}

// The order is the Classifier, the rules, the toggle, the table (imds-ready.toml(5)).
// Each one decides in some row and defers to the next in another.
func TestPrecedence(t *testing.T) {
	waits := func(f policy.Failure) (policy.Action, bool) { return policy.Wait, f.Class == policy.ConnectTimeout }
	absent := []policy.Rule{rule(policy.Absent, "", "connect-timeout", "connection-refused", "410")}
	for _, tt := range []struct {
		name       string
		classifier func(policy.Failure) (policy.Action, bool)
		rules      []policy.Rule
		toggle     bool
		class      policy.Class
		want       policy.Action
	}{
		{"the classifier beats all", waits, absent, false, policy.ConnectTimeout, policy.Wait},
		{"a classifier may defer to the rules", waits, absent, false, policy.ConnectionRefused, policy.Absent},
		{"a rule beats the toggle", nil, absent, false, policy.ConnectTimeout, policy.Absent},
		{"a rule beats the table's default", nil, absent, true, "410", policy.Absent},
		{"the toggle beats the table", nil, absent, false, policy.ReadTimeout, policy.Fail},
		{"the toggle does not apply to an answer", nil, absent, false, "503", policy.Retry},
		{"the table is last", nil, absent, true, policy.ReadTimeout, policy.Retry},
		{"no classifier and no rules", nil, nil, true, policy.Unreachable, policy.Wait},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := preset(t, "boot")
			p.Classifier, p.Rules, p.RetryConnectTimeouts = tt.classifier, tt.rules, tt.toggle
			if got := p.Decide(required(tt.class)); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.class, got, tt.want)
			}
		})
	}
}

// A rule can retry connect timeouts without retrying other failures that have no
// response.
func TestRuleRetriesWhatTheToggleFails(t *testing.T) {
	p := preset(t, "sdk")
	p.Rules = []policy.Rule{rule(policy.Retry, "", "connect-timeout", "unreachable")}
	for class, want := range map[policy.Class]policy.Action{
		policy.ConnectTimeout: policy.Retry, policy.Unreachable: policy.Retry,
		policy.ConnectionRefused: policy.Fail, policy.ReadTimeout: policy.Fail, policy.Blocked: policy.Fail, "503": policy.Retry,
	} {
		if got := p.Decide(required(class)); got != want {
			t.Errorf("%s: %s, want %s", class, got, want)
		}
	}
}

func TestClassifierGetsTheCompleteFailure(t *testing.T) {
	var got policy.Failure
	p := policy.Policy{Classifier: func(f policy.Failure) (policy.Action, bool) { got = f; return policy.Absent, true }}
	want := policy.Failure{Class: "429", Path: "meta-data/mac", Required: true, Token: true, Headers: true, RetryAfter: 7}
	if action := p.Decide(want); action != policy.Absent || got != want {
		t.Errorf("%s for %+v, want absent for %+v", action, got, want)
	}
}

// In a Go program, zero fields have the values of the preset boot, and zero limits are
// no limits.
func TestZeroFieldsAreBoot(t *testing.T) {
	boot := policy.Boot()
	zero := policy.Policy{RetryConnectTimeouts: true}
	for _, class := range attemptClasses() {
		if got, want := zero.Decide(required(class)), boot.Decide(required(class)); got != want {
			t.Errorf("%s: %s, want %s", class, got, want)
		}
	}
	got := zero.WithDefaults()
	if got.Backoff != boot.Backoff || got.ConnectTimeout != boot.ConnectTimeout || got.ReadTimeout != boot.ReadTimeout {
		t.Errorf("got %+v, want the numbers of %+v", got, boot)
	}
	if got.MaxAttempts != 0 || got.Deadline != 0 {
		t.Errorf("limits of %d attempts and %v, want no limits", got.MaxAttempts, got.Deadline)
	}
	own := policy.Policy{Backoff: policy.Backoff{Initial: time.Second}, ConnectTimeout: time.Second, ReadTimeout: time.Minute, Table: []policy.Row{}}
	if got := own.WithDefaults(); !reflect.DeepEqual(got, own) {
		t.Errorf("a policy without zero fields became %+v", got)
	}
}

func TestExplain(t *testing.T) {
	boot, sdk := policy.Boot(), policy.SDK()
	boot.Rules = []policy.Rule{rule(policy.Retry, "meta-data/**", "404"), rule(policy.Fail, "", "unreachable")}
	classified := boot
	classified.Classifier = func(f policy.Failure) (policy.Action, bool) { return policy.Wait, f.Class == "404" }
	unreachable := required(policy.Unreachable)
	both := required(policy.Blocked)
	both.Other = new(required(policy.ReadTimeout))
	bothEnd := required(policy.Blocked)
	bothEnd.Other = &unreachable
	for _, tt := range []struct {
		name   string
		policy policy.Policy
		f      policy.Failure
		want   policy.Decision
		rule   int
	}{
		{"the classifier", classified, required("404"), policy.Decision{Action: policy.Wait, Source: policy.FromClassifier}, 0},
		{"the second rule", classified, unreachable, policy.Decision{Action: policy.Fail, Source: policy.FromRule, Number: 2}, 2},
		{"a rule for other paths", boot, required("404"), policy.Decision{Action: policy.Retry, Source: policy.FromTable, Number: 3}, 0},
		{"the toggle", sdk, unreachable, policy.Decision{Action: policy.Fail, Source: policy.FromToggle}, 0},
		{"nothing", sdk, required("418"), policy.Decision{Action: policy.Fail, Source: policy.FromNothing}, 0},
		{"the other family", boot, both, policy.Decision{Action: policy.Retry, Source: policy.FromTable, Number: 3}, 0},
		{"both families end", boot, bothEnd, policy.Decision{Action: policy.Fail, Source: policy.FromNothing}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.policy.Explain(tt.f)
			if got != tt.want || got.Rule() != tt.rule || got.Action != tt.policy.Decide(tt.f) {
				t.Errorf("%+v (rule %d), want %+v (rule %d)", got, got.Rule(), tt.want, tt.rule)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	optional := policy.Failure{Class: "404", Path: "meta-data/mac", Headers: true}
	listed := optional
	listed.Listed = true
	if got := rule(policy.Fail, "user-data", "404").Match(optional); got != policy.OtherPath {
		t.Errorf("the path: %q", got)
	}
	if got := rule(policy.Fail, "user-data", "503").Match(optional); got != policy.OtherClass {
		t.Errorf("the class: %q", got)
	}
	boot := policy.Boot()
	if row := boot.Table[1]; row.Match(boot, optional) != policy.Matches || row.Match(boot, listed) != policy.OtherCondition {
		t.Errorf("the condition: %q, %q", row.Match(boot, optional), row.Match(boot, listed))
	}
}
