// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/policy"
)

// The sources of the decisions. Those of the sdk columns are the arms of
// aws-config's imds/client.rs, ImdsResponseRetryClassifier::classify_retry
// (read at 56ee88c; the toggle came with 1.5.15).
const (
	serverError = "imds/client.rs classify_retry: ctx.response() is there, status.is_server_error() => server_error()"
	status401   = "imds/client.rs classify_retry: ctx.response() is there, status 401 => server_error()"
	otherAnswer = "imds/client.rs classify_retry: ctx.response() is there, _ => NoActionIndicated (a body that fails to parse included)"
	noResponse  = "imds/client.rs classify_retry: no ctx.response(); self.retry_connect_timeouts => server_error(), else NoActionIndicated"
	optional404 = "imds-ready.toml(5): to a GET of an optional path a 404 is absent in every preset"
	oversize    = "imds-ready.toml(5): a second answer would be as large; aws-config has no limit"
)

// request is which requests a row of the table speaks of.
type request int

const (
	put request = 1 << iota
	requiredGET
	optionalGET
	listedGET

	anyRequest = put | requiredGET | optionalGET | listedGET
)

// headers is whether a whole response header had arrived.
type headers int

const (
	before headers = 1 << iota
	after

	either = before | after
)

// classRow is one row of the class table of imds-ready.toml(5).
type classRow struct {
	classes  string // space-separated
	requests request
	headers  headers
	want     string // one action a column, in the order of columns
	source   string // of the sdk columns
}

// columns are the policies that a row states an action for, in its order.
var columns = []struct {
	name, preset string
	toggle       bool
}{
	{"boot", "boot", true},
	{"sdk", "sdk", false},
	{"sdk with the toggle", "sdk", true},
	{"boot with the toggle off", "boot", false},
}

// classTable is imds-ready.toml(5)'s table, row by row. The last column is
// section 5's precedence: the toggle off fails "unreachable" to "read-timeout"
// at once in any preset.
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
	{"500 501 502 503 504 511 599", anyRequest, after, "retry retry retry retry", serverError},
	{"400 403 402 405 406 410 418 428 430 499", anyRequest, after, "fail fail fail fail", otherAnswer},
	{"bad-response", anyRequest, after, "retry fail fail retry", otherAnswer},
	{"bad-response", anyRequest, before, "retry fail retry retry", noResponse},
	{"mismatch", requiredGET, after, "retry fail fail retry", otherAnswer},
	{"empty", put | requiredGET, after, "retry fail fail retry", otherAnswer},
	{"too-large", anyRequest, either, "fail fail fail fail", oversize},
}

// failures returns every failure that a row speaks of, by name.
func (r classRow) failures() map[string]policy.Failure {
	all := map[string]policy.Failure{}
	for class := range strings.FieldsSeq(r.classes) {
		for req, name := range map[request]string{put: "PUT", requiredGET: "required GET", optionalGET: "optional GET", listedGET: "GET of a listed path"} {
			for at, when := range map[headers]string{before: "before the headers", after: "after the headers"} {
				if r.requests&req == 0 || r.headers&at == 0 {
					continue
				}
				f := policy.Failure{Class: policy.Class(class), Path: "meta-data/instance-id", Headers: at == after}
				f.Required, f.Token, f.Listed = req == requiredGET, req == put, req == listedGET
				all[class+" "+name+" "+when] = f
				if req == put { // the token of a required path, and of an optional one
					f.Required = true
					all[class+" "+name+" for a required path "+when] = f
				}
			}
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

// TestClassTableIsComplete fails when a class is added and no row says what
// happens to it, or when a row speaks of a class that does not exist.
func TestClassTableIsComplete(t *testing.T) {
	var rows []policy.Class
	cells := map[string]bool{}
	for _, row := range classTable {
		if n := len(strings.Fields(row.want)); n != len(columns) {
			t.Errorf("row %s states %d actions, want one for each of %d columns", row.classes, n, len(columns))
		}
		for name, f := range row.failures() {
			if cells[name] {
				t.Errorf("two rows speak of %s", name)
			}
			cells[name] = true
			rows = append(rows, f.Class)
		}
	}
	for _, c := range policy.AttemptClasses() {
		if !slices.Contains(rows, c) {
			t.Errorf("no row for %q: say in imds-ready.toml(5) what happens to it, then here", c)
		}
	}
	for _, c := range rows {
		if !slices.Contains(attemptClasses(), c) {
			t.Errorf("row for %q, which no attempt can have", c)
		}
	}
}

// TestEveryStatus says section 5 once more for the statuses that the table
// names only as a range: "5xx" and "any other 4xx".
func TestEveryStatus(t *testing.T) {
	for code := 400; code <= 599; code++ {
		want := "fail fail fail fail"
		switch {
		case code >= 500 || code == 401:
			want = "retry retry retry retry"
		case code == 404 || code == 408 || code == 429:
			want = "retry fail fail retry"
		}
		for i, col := range columns {
			f := required(policy.Status(code))
			want := policy.Action(strings.Fields(want)[i])
			if got := column(t, i).Decide(f); got != want {
				t.Errorf("%s: %d: %s, want %s", col.name, code, got, want)
			}
		}
	}
}

// attemptClasses is every class that an attempt can have, statuses included.
func attemptClasses() []policy.Class {
	all := policy.AttemptClasses()
	for code := 400; code <= 599; code++ {
		all = append(all, policy.Class(fmt.Sprintf("%03d", code)))
	}
	return all
}

// required is a failed GET of the identity document.
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
