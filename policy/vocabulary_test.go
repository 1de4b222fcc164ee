// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/policy"
)

// words are the values that users write or read; imds-ready.toml(5).
func TestWords(t *testing.T) {
	tests := []struct {
		name, want string
		got        []string
	}{
		{
			"classes of an attempt", "unreachable blocked local-error connect-timeout connection-refused connection-reset " +
				"read-timeout disabled bad-response empty mismatch too-large", words(policy.AttemptClasses()),
		},
		{"other classes", "interrupted not-ec2 invalid-config cannot-write not-utf8 deadline", words(otherClasses)},
		{"actions", "retry wait fail absent", words(policy.Actions())},
		{"jitters", "full equal none", words(policy.Jitters())},
		{"presets", "boot sdk", policy.PresetNames()},
	}
	for _, tt := range tests {
		if got := strings.Join(tt.got, " "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// otherClasses are only in last_error or missing.
var otherClasses = []policy.Class{
	policy.Interrupted, policy.NotEC2, policy.InvalidConfig, policy.CannotWrite, policy.NotUTF8, policy.PastDeadline,
}

func words[T ~string](values []T) []string {
	all := make([]string, 0, len(values))
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// TestListsAreFresh holds that nobody changes the vocabulary for everybody.
func TestListsAreFresh(t *testing.T) {
	policy.AttemptClasses()[0], policy.Actions()[0], policy.Jitters()[0], policy.PresetNames()[0] = "x", "x", "x", "x"
	if policy.AttemptClasses()[0] == "x" || policy.Actions()[0] == "x" || policy.Jitters()[0] == "x" || policy.PresetNames()[0] == "x" {
		t.Error("a list that was changed by one caller is changed for the next")
	}
}

func TestStatus(t *testing.T) {
	for code, want := range map[int]policy.Class{401: "401", 404: "404", 503: "503", 599: "599"} {
		if got := policy.Status(code); got != want {
			t.Errorf("Status(%d) = %q, want %q", code, got, want)
		}
	}
}

// ladder is imds-ready.toml(5), "First sign of life": unreachable < blocked =
// local-error < connect-timeout < connection-refused < connection-reset <
// read-timeout < any answer.
var ladder = [][]policy.Class{
	{policy.Unreachable},
	{policy.Blocked, policy.LocalError},
	{policy.ConnectTimeout},
	{policy.ConnectionRefused},
	{policy.ConnectionReset},
	{policy.ReadTimeout},
	{policy.Disabled, policy.BadResponse, policy.Empty, policy.Mismatch, policy.TooLarge, "400", "401", "403", "404", "429", "500", "503", "599"},
}

// rung is the place of a class on the ladder.
func rung(c policy.Class) int {
	i := slices.IndexFunc(ladder, func(classes []policy.Class) bool { return slices.Contains(classes, c) })
	if i < 0 { // a status that the ladder does not spell out
		return len(ladder) - 1
	}
	return i
}

func TestRank(t *testing.T) {
	for want, classes := range ladder {
		for _, c := range classes {
			if got := c.Rank(); got != want {
				t.Errorf("%s: rank %d, want %d", c, got, want)
			}
			if got, want := c.Answered(), want == len(ladder)-1; got != want {
				t.Errorf("%s: answered %v, want %v", c, got, want)
			}
		}
	}
	for _, c := range policy.AttemptClasses() {
		if !slices.ContainsFunc(ladder, func(classes []policy.Class) bool { return slices.Contains(classes, c) }) {
			t.Errorf("%s has no place on the ladder", c)
		}
	}
	for _, c := range attemptClasses() {
		if got := c.Rank(); got != rung(c) {
			t.Errorf("%s: rank %d, want %d", c, got, rung(c))
		}
	}
}

func TestCheckOn(t *testing.T) {
	list := "classes are " + strings.Join(words(policy.AttemptClasses()), ", ") + ", a status from 400 to 599, 4xx and 5xx"
	tests := []struct{ on, wantErr string }{
		{"unreachable", ""},
		{"disabled", ""},
		{"too-large", ""},
		{"400", ""},
		{"404", ""},
		{"599", ""},
		{"4xx", ""},
		{"5xx", ""},

		// Never the class of an attempt (imds-ready.toml(5)).
		{"interrupted", `"interrupted" is never the class of an attempt`},
		{"not-ec2", `"not-ec2" is never the class of an attempt`},
		{"invalid-config", `"invalid-config" is never the class of an attempt`},
		{"cannot-write", `"cannot-write" is never the class of an attempt`},
		{"not-utf8", `"not-utf8" is never the class of an attempt`},
		{"deadline", `"deadline" is never the class of an attempt`},

		// Answers that have a class of another name.
		{"2xx", `no class is "2xx": answers like these are "bad-response"`},
		{"3xx", `no class is "3xx": answers like these are "bad-response"`},
		{"200", `no class is "200": an answer without a body is "empty"`},
		{"204", `no class is "204": an answer without a body is "empty"`},
		{"101", `no class is "101": such an answer is "bad-response"; statuses are 400 to 599`},
		{"302", `no class is "302": such an answer is "bad-response"; statuses are 400 to 599`},
		{"399", `no class is "399": such an answer is "bad-response"; statuses are 400 to 599`},
		{"600", `no class is "600": such an answer is "bad-response"; statuses are 400 to 599`},

		// What nobody knows; enumerations are lower case (imds-ready.toml(5)).
		{"", `no class is ""; ` + list},
		{"timeout", `no class is "timeout"; ` + list},
		{"5XX", `no class is "5XX"; ` + list},
		{"Disabled", `no class is "Disabled"; ` + list},
		{"50x", `no class is "50x"; ` + list},
		{"6xx", `no class is "6xx"; ` + list},
		{"99", `no class is "99"; ` + list},
		{"099", `no class is "099"; ` + list},
		{"4040", `no class is "4040"; ` + list},
		{"+40", `no class is "+40"; ` + list},
		{" 404", `no class is " 404"; ` + list},
		{"retry", `no class is "retry"; ` + list},
		{"a\nb", `no class is "a\nb"; ` + list},
	}
	for _, tt := range tests {
		var got string
		if err := policy.CheckOn(tt.on); err != nil {
			got = err.Error()
		}
		if got != tt.wantErr {
			t.Errorf("CheckOn(%q): %s\nwant %s", tt.on, got, tt.wantErr)
		}
	}
}

// TestCheckOnInterim: an interim answer is never the class of an attempt, but
// for 101 (imds-ready.toml(5), too-large and bad-response).
func TestCheckOnInterim(t *testing.T) {
	for _, on := range []string{"1xx", "100", "102", "199"} {
		err := policy.CheckOn(on)
		if want := fmt.Sprintf("no class is %q", on); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("CheckOn(%q): %v, want %s and why", on, err, want)
		}
	}
}

// FuzzCheckOn: an entry is valid exactly when a rule with it can match the
// class of some attempt.
func FuzzCheckOn(f *testing.F) {
	for _, c := range slices.Concat(policy.AttemptClasses(), otherClasses, []policy.Class{
		"4xx", "5xx", "3xx", "xxx", "400", "404", "599", "600", "200", "+40", "-12", "1e2", "", "٤٠٤", "4\x00x",
	}) {
		f.Add(string(c))
	}
	classes := attemptClasses()
	f.Fuzz(func(t *testing.T, on string) {
		p := policy.Policy{Rules: []policy.Rule{{On: []string{on}, Action: policy.Absent}}, RetryConnectTimeouts: true}
		matches := slices.ContainsFunc(classes, func(c policy.Class) bool { return p.Decide(required(c)) == policy.Absent })
		if err := policy.CheckOn(on); (err == nil) != matches {
			t.Errorf("%q: matches some class: %v, but CheckOn says %v", on, matches, err)
		}
	})
}
