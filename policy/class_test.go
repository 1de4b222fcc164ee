// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/policy"
)

// otherClasses are the classes that appear only in last_error and missing.
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

// A caller that changes a list does not change it for other callers.
func TestListsAreFresh(t *testing.T) {
	policy.AttemptClasses()[0], policy.Actions()[0], policy.Jitters()[0], policy.PresetNames()[0] = "x", "x", "x", "x"
	if policy.AttemptClasses()[0] == "x" || policy.Actions()[0] == "x" || policy.Jitters()[0] == "x" || policy.PresetNames()[0] == "x" {
		t.Error("a change by one caller is visible to the next")
	}
}

// ladder has the classes by rank, as in imds-ready.toml(5), "First sign of life".
var ladder = [][]policy.Class{
	{policy.Unreachable},
	{policy.Blocked, policy.LocalError},
	{policy.ConnectTimeout},
	{policy.ConnectionRefused},
	{policy.ConnectionReset},
	{policy.ReadTimeout},
	{policy.Disabled, policy.BadResponse, policy.Empty, policy.Mismatch, policy.TooLarge, "400", "401", "403", "404", "429", "500", "503", "599"},
}

// rung returns the place of a class on the ladder.
func rung(c policy.Class) int {
	i := slices.IndexFunc(ladder, func(classes []policy.Class) bool { return slices.Contains(classes, c) })
	if i < 0 { // a status that the ladder does not list
		return len(ladder) - 1
	}
	return i
}

func TestRank(t *testing.T) {
	for _, c := range attemptClasses() {
		want := rung(c)
		if got := c.Rank(); got != want || c.Answered() != (want == len(ladder)-1) {
			t.Errorf("%s: rank %d, answered %v, want rank %d", c, got, c.Answered(), want)
		}
	}
	for _, c := range policy.AttemptClasses() {
		if !slices.Contains(slices.Concat(ladder...), c) {
			t.Errorf("%s is not on the ladder", c)
		}
	}
}

func TestCheckOn(t *testing.T) {
	list := "classes are " + strings.Join(words(policy.AttemptClasses()), ", ") + ", a status from 400 to 599, 4xx and 5xx"
	for _, tt := range []struct{ on, wantErr string }{
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

		// Answers whose class has another name.
		{"1xx", `no class is "1xx": answers like these are "bad-response"`},
		{"100", `no class is "100": interim answers are skipped; statuses are 400 to 599`},
		{"199", `no class is "199": interim answers are skipped; statuses are 400 to 599`},
		{"2xx", `no class is "2xx": answers like these are "bad-response"`},
		{"3xx", `no class is "3xx": answers like these are "bad-response"`},
		{"200", `no class is "200": an answer without a body is "empty"`},
		{"204", `no class is "204": an answer without a body is "empty"`},
		{"101", `no class is "101": such an answer is "bad-response"; statuses are 400 to 599`},
		{"302", `no class is "302": such an answer is "bad-response"; statuses are 400 to 599`},
		{"399", `no class is "399": such an answer is "bad-response"; statuses are 400 to 599`},
		{"600", `no class is "600": such an answer is "bad-response"; statuses are 400 to 599`},

		// Unknown words. Classes are lower case (imds-ready.toml(5)).
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
	} {
		var got string
		if err := policy.CheckOn(tt.on); err != nil {
			got = err.Error()
		}
		if got != tt.wantErr {
			t.Errorf("CheckOn(%q): %s\nwant %s", tt.on, got, tt.wantErr)
		}
	}
}

// TestCheckClass checks that a class is what an attempt can end with, so neither 4xx nor
// 5xx, which the error does not offer.
func TestCheckClass(t *testing.T) {
	for _, class := range []string{"disabled", "400", "599"} {
		if err := policy.CheckClass(class); err != nil {
			t.Error(err)
		}
	}
	for _, class := range []string{"4xx", "5xx", "timeout", "600", "deadline"} {
		if err := policy.CheckClass(class); err == nil || strings.Contains(err.Error(), ", 4xx") {
			t.Errorf("%s: %v", class, err)
		}
	}
}

// FuzzCheckOn checks that an entry is valid exactly if a rule with it can match the
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
			t.Errorf("%q: matches some class: %v, but CheckOn returns %v", on, matches, err)
		}
	})
}

// The sources of the decisions. Those of the sdk columns are the arms of
// aws-config's imds/client.rs, ImdsResponseRetryClassifier::classify_retry (as of
// commit 56ee88c; 1.5.15 added the toggle).
const (
	serverError = "imds/client.rs classify_retry: ctx.response() is Some, status.is_server_error() => server_error()"
	status401   = "imds/client.rs classify_retry: ctx.response() is Some, status 401 => server_error()"
	otherAnswer = "imds/client.rs classify_retry: ctx.response() is Some, _ => NoActionIndicated (a body that fails to parse included)"
	noResponse  = "imds/client.rs classify_retry: ctx.response() is None; self.retry_connect_timeouts => server_error(), else NoActionIndicated"
	optional404 = "imds-ready.toml(5): a 404 to the GET of an optional path is absent in every preset"
	oversize    = "imds-ready.toml(5): the next answer would be as large; aws-config has no limit"
)

// request is a set of requests that a row of the table applies to.
type request int

const (
	put request = 1 << iota
	requiredGET
	optionalGET
	listedGET

	anyRequest = put | requiredGET | optionalGET | listedGET
)

// headers is whether a complete response header arrived.
type headers int

const (
	before headers = 1 << iota
	after

	either = before | after
)

// classRow is one row of the class table of imds-ready.toml(5).
type classRow struct {
	classes  string // space-separated; 4xx stands for all that no other row names
	requests request
	headers  headers
	want     string // one action per column
	source   string // of the sdk columns
}

// columns are the policies for which each row has an action.
var columns = []struct {
	name, preset string
	toggle       bool
}{
	{"boot", "boot", true},
	{"sdk", "sdk", false},
	{"sdk with the toggle", "sdk", true},
	{"boot with the toggle off", "boot", false},
}

// classTable is the table of imds-ready.toml(5). Without the toggle, every preset fails
// "unreachable" to "read-timeout" at once.
var classTable = []classRow{
	{"unreachable", anyRequest, before, "wait fail retry fail", noResponse},
	{"blocked", anyRequest, before, "fail fail retry fail", noResponse},
	{"local-error", anyRequest, before, "retry fail retry fail", noResponse},
	{"connect-timeout", anyRequest, before, "retry fail retry fail", noResponse},
	{"connection-refused", anyRequest, before, "retry fail retry fail", noResponse},
	{"connection-reset", anyRequest, before, "retry fail retry fail", noResponse},
	{"connection-reset", anyRequest, after, "retry fail fail fail", otherAnswer},
	{"read-timeout", anyRequest, either, "retry fail retry fail", noResponse},
	{"401", anyRequest, after, "retry retry retry retry", status401},
	{"disabled", put | requiredGET, after, "fail fail fail fail", otherAnswer},
	{"404", put | requiredGET, after, "retry fail fail retry", otherAnswer},
	{"404", optionalGET, after, "absent absent absent absent", optional404},
	{"404", listedGET, after, "retry fail fail retry", otherAnswer},
	{"408 429", anyRequest, after, "retry fail fail retry", otherAnswer},
	{"5xx", anyRequest, after, "retry retry retry retry", serverError},
	{"4xx", anyRequest, after, "fail fail fail fail", otherAnswer},
	{"bad-response", anyRequest, after, "retry fail fail retry", otherAnswer},
	{"bad-response", anyRequest, before, "retry fail retry retry", noResponse},
	{"mismatch", requiredGET, after, "retry fail fail retry", otherAnswer},
	{"empty", put | requiredGET, after, "retry fail fail retry", otherAnswer},
	{"too-large", anyRequest, either, "fail fail fail fail", oversize},
}

// failures returns the failures that a row applies to, by name.
func (r classRow) failures() map[string]policy.Failure {
	all := map[string]policy.Failure{}
	for _, class := range r.expand() {
		for req, name := range map[request]string{put: "PUT", requiredGET: "required GET", optionalGET: "optional GET", listedGET: "GET of a listed path"} {
			for at, when := range map[headers]string{before: "before the headers", after: "after the headers"} {
				if r.requests&req == 0 || r.headers&at == 0 {
					continue
				}
				f := policy.Failure{Class: class, Path: "meta-data/instance-id", Headers: at == after}
				f.Required, f.Token, f.Listed = req == requiredGET, req == put, req == listedGET
				all[string(class)+" "+name+" "+when] = f
				if req == put { // for a required path, and for an optional one
					f.Required = true
					all[string(class)+" "+name+" for a required path "+when] = f
				}
			}
		}
	}
	return all
}

// expand returns the classes of a row.
func (r classRow) expand() []policy.Class {
	var all []policy.Class
	for class := range strings.FieldsSeq(r.classes) {
		switch class {
		case "4xx":
			for code := 400; code <= 499; code++ {
				if !slices.Contains([]int{401, 404, 408, 429}, code) {
					all = append(all, policy.Status(code))
				}
			}
		case "5xx":
			for code := 500; code <= 599; code++ {
				all = append(all, policy.Status(code))
			}
		default:
			all = append(all, policy.Class(class))
		}
	}
	return all
}

func column(t *testing.T, i int) policy.Policy {
	t.Helper()
	p := preset(t, columns[i].preset)
	p.RetryConnectTimeouts = columns[i].toggle
	return p
}

func TestClassTable(t *testing.T) {
	for i, col := range columns {
		t.Run(col.name, func(t *testing.T) {
			p := column(t, i)
			for _, row := range classTable {
				want := policy.Action(strings.Fields(row.want)[i])
				for name, f := range row.failures() {
					if got := p.Decide(f); got != want {
						t.Errorf("%s: %s, want %s\n%s", name, got, want, row.source)
					}
				}
			}
		})
	}
}

// TestClassTableIsComplete fails if a class has no row, or if a row has a class that
// does not exist.
func TestClassTableIsComplete(t *testing.T) {
	var rows []policy.Class
	cells := map[string]bool{}
	for _, row := range classTable {
		if n := len(strings.Fields(row.want)); n != len(columns) {
			t.Errorf("row %s has %d actions, want one for each of %d columns", row.classes, n, len(columns))
		}
		for name, f := range row.failures() {
			if cells[name] {
				t.Errorf("two rows apply to %s", name)
			}
			cells[name] = true
			rows = append(rows, f.Class)
		}
	}
	for _, c := range attemptClasses() {
		if !slices.Contains(rows, c) {
			t.Errorf("no row for %q: document its actions in imds-ready.toml(5), then add them here", c)
		}
	}
	for _, c := range rows {
		if !slices.Contains(attemptClasses(), c) {
			t.Errorf("the row for %q has a class that no attempt can have", c)
		}
	}
}

// attemptClasses returns every class that an attempt can have, including statuses.
func attemptClasses() []policy.Class {
	all := policy.AttemptClasses()
	for code := 400; code <= 599; code++ {
		all = append(all, policy.Class(fmt.Sprintf("%03d", code)))
	}
	return all
}

// required returns a failed GET of the identity document.
func required(class policy.Class) policy.Failure {
	return policy.Failure{
		Class: class, Path: "dynamic/instance-identity/document", Required: true,
		Headers: class.Answered(),
	}
}

func preset(t interface {
	Helper()
	Fatalf(string, ...any)
}, name string,
) policy.Policy {
	t.Helper()
	p, ok := policy.Preset(name)
	if !ok {
		t.Fatalf("no preset %q", name)
	}
	return p
}
