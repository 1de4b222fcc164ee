// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// traced is a short form of a trace: events separated by "; ", each followed by
// "@" and the times at which it happens. PUT is the token's, DOC the GET of the
// identity document, REQ the GET of required, the path that the tests require
// beside it.
//
//	"PUT 200 @ 0s; DOC 503 @ 0s 50ms 150ms"
func traced(spec string) []string {
	var lines []string
	for part := range strings.SplitSeq(spec, "; ") {
		event, times, _ := strings.Cut(strings.TrimSpace(part), " @ ")
		event = strings.NewReplacer("PUT", "PUT api/token", "DOC", "GET "+readiness.IdentityPath,
			"REQ", "GET "+required).Replace(event)
		for at := range strings.FieldsSeq(times) {
			lines = append(lines, at+" "+event)
		}
	}
	return lines
}

// required is what tests of a required path require.
const required = "meta-data/tags/instance/Name"

// wantTrace compares the whole trace.
func (tr *trial) wantTrace(t testing.TB, spec string) {
	t.Helper()
	if got, want := tr.trace(), traced(spec); !slices.Equal(got, want) {
		t.Errorf("trace:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// want is what a run came to.
type want struct {
	exit     readiness.Exit
	state    string
	class    string // last_error's
	attempts int
	requests int
	errors   string // "503:2 read-timeout:1", sorted by class
	elapsed  time.Duration
}

// wantEnd compares everything but the trace.
func (tr *trial) wantEnd(t testing.TB, w want) {
	t.Helper()
	got := want{tr.exit, tr.status.State, tr.lastClass(), tr.status.Attempts, tr.status.Requests, tr.errorCounts(), tr.elapsed}
	if got != w {
		t.Errorf("end:\n  %+v\nwant:\n  %+v", got, w)
	}
}

// errorCounts are the errors of status.json in one line.
func (tr *trial) errorCounts() string {
	var counts []string
	for _, class := range slices.Sorted(maps.Keys(tr.status.Errors)) {
		counts = append(counts, fmt.Sprintf("%s:%d", class, tr.status.Errors[class]))
	}
	return strings.Join(counts, " ")
}

// under is what a policy that retries so makes of a row.
func (row answerRow) under(policy, times string, attempts int, elapsed time.Duration) (string, want) {
	if !slices.Contains(strings.Split(row.retry, ", "), policy) {
		times, attempts, elapsed = " @ 0s", 1, 0
	}
	w := ended(row.exit, row.class, attempts, elapsed)
	if strings.HasPrefix(row.event, "PUT") {
		return row.event + times, w
	}
	w.requests++ // the token
	return "PUT 200 @ 0s; " + row.event + times, w
}
