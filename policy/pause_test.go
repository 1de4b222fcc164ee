// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// TestRetryAfter: imds-ready.toml(5): on 429 and 503 it lengthens the pause, up
// to the larger of max_backoff and 30 s, and never past the deadline. The
// pause without it is 50 ms.
func TestRetryAfter(t *testing.T) {
	const s = time.Second
	boot := bootWith(t, 0, 5*time.Minute)
	change := func(f func(*policy.Policy)) policy.Policy {
		p := boot
		f(&p)
		return p
	}
	patient := change(func(p *policy.Policy) { p.Backoff.Max = time.Minute })
	jittery := change(func(p *policy.Policy) { p.Backoff.Jitter = policy.JitterFull })
	unlimited := change(func(p *policy.Policy) { p.Deadline = 0 })
	waits := change(func(p *policy.Policy) { p.Rules = []policy.Rule{rule(policy.Wait, "", "503")} })
	sdk := exact(preset(t, "sdk"))
	sdk429 := sdk
	sdk429.Rules = []policy.Rule{rule(policy.Retry, "", "429")}
	tests := []struct {
		name    string
		policy  policy.Policy
		class   policy.Class
		after   time.Duration
		elapsed time.Duration
		want    time.Duration
	}{
		{"none sent", boot, "503", 0, 0, 50 * ms},
		{"below the pause", boot, "503", 10 * ms, 0, 50 * ms},
		{"above the pause", boot, "503", 2 * s, 0, 2 * s},
		{"on a 429", boot, "429", 2 * s, 0, 2 * s},
		{"at the cap", boot, "503", 30 * s, 0, 30 * s},
		{"above the cap of 30 s", boot, "503", 31 * s, 0, 30 * s},
		{"absurd", boot, "429", 1000 * time.Hour, 0, 30 * s},
		{"a date in the past", boot, "503", -time.Hour, 0, 50 * ms},
		{"below a larger max_backoff", patient, "503", 45 * s, 0, 45 * s},
		{"above a larger max_backoff", patient, "503", 2 * time.Minute, 0, time.Minute},
		{"exact, whatever the jitter", jittery, "503", 3 * s, 0, 3 * s},
		{"past the deadline", boot, "503", 10 * s, 5*time.Minute - 4*s, 4 * s},
		{"no deadline", unlimited, "503", 10 * s, 100 * time.Hour, 10 * s},
		{"a rule that waits on it", waits, "503", 2 * s, 0, 2 * s},
		{"not on a 500", boot, "500", 2 * s, 0, 50 * ms},
		{"not on a 502", boot, "502", 2 * s, 0, 50 * ms},
		{"not on a 401", boot, "401", 2 * s, 0, 50 * ms},
		{"not on a 404", boot, "404", 2 * s, 0, 50 * ms},
		{"not on bad-response", boot, policy.BadResponse, 2 * s, 0, 50 * ms},
		{"sdk ignores it", sdk, "503", 7 * s, 0, s},
		{"sdk ignores it where a rule retries", sdk429, "429", 7 * s, 0, s},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := required(tt.class)
			f.RetryAfter = tt.after
			got := tt.policy.Budget().Next(f, tt.elapsed)
			if got.Pause != tt.want || got.Stop != nil {
				t.Errorf("pause %v, stop %v, want %v", got.Pause, got.Stop, tt.want)
			}
		})
	}
}

// TestRetryAfterKeepsTheCurve: the next pause is the curve's next.
func TestRetryAfterKeepsTheCurve(t *testing.T) {
	budget := bootWith(t, 0, 0).Budget()
	var got []time.Duration
	for _, after := range []time.Duration{0, 2 * time.Second, 0, 300 * ms, 0} {
		f := required("503")
		f.RetryAfter = after
		got = append(got, budget.Next(f, 0).Pause)
	}
	if want := "[50ms 2s 200ms 400ms 500ms]"; durations(got) != want {
		t.Errorf("pauses %s, want %s", durations(got), want)
	}
}

func durations(ds []time.Duration) string {
	all := make([]string, 0, len(ds))
	for _, d := range ds {
		all = append(all, d.String())
	}
	return "[" + strings.Join(all, " ") + "]"
}

// TestEager: imds-ready.toml(5), "First sign of life": the backoff restarts when
// a class is reached that is more alive than any before, and only then.
func TestEager(t *testing.T) {
	tests := []struct{ name, classes, eager, not string }{
		{
			"one rise",
			"connection-refused connection-refused connection-refused 503 503",
			"[50ms 100ms 200ms 50ms 100ms]", "[50ms 100ms 200ms 400ms 500ms]",
		},
		{
			"the first failure of all is no rise",
			"503 503", "[50ms 100ms]", "[50ms 100ms]",
		},
		{
			"a fall and a return are no rise",
			"connect-timeout 503 connect-timeout 503 connect-timeout",
			"[50ms 50ms 100ms 200ms 400ms]", "[50ms 100ms 200ms 400ms 500ms]",
		},
		{
			"every rung once",
			"unreachable unreachable local-error local-error connect-timeout connect-timeout connection-refused connection-refused " +
				"connection-reset connection-reset read-timeout read-timeout 503 503",
			"[50ms 100ms 50ms 100ms 50ms 100ms 50ms 100ms 50ms 100ms 50ms 100ms 50ms 100ms]",
			"[50ms 100ms 200ms 400ms 500ms 500ms 500ms 500ms 500ms 500ms 500ms 500ms 500ms 500ms]",
		},
		{
			"a rung below the best is no rise, new or not",
			"connect-timeout read-timeout connection-reset connection-refused read-timeout",
			"[50ms 50ms 100ms 200ms 400ms]", "[50ms 100ms 200ms 400ms 500ms]",
		},
		{
			"blocked and local-error are on the same rung",
			"local-error blocked local-error blocked",
			"[50ms 100ms 200ms 400ms]", "[50ms 100ms 200ms 400ms]",
		},
		{
			"all answers are on the same rung",
			"401 404 503 429 bad-response empty",
			"[50ms 100ms 200ms 400ms 500ms 500ms]", "[50ms 100ms 200ms 400ms 500ms 500ms]",
		},
	}
	for _, tt := range tests {
		for _, eager := range []bool{true, false} {
			p := bootWith(t, 0, 0)
			p.Eager = eager
			p.Rules = []policy.Rule{rule(policy.Retry, "", "blocked")}
			budget := p.Budget()
			var got []time.Duration
			for class := range strings.FieldsSeq(tt.classes) {
				got = append(got, budget.Next(required(policy.Class(class)), 0).Pause)
			}
			want := tt.not
			if eager {
				want = tt.eager
			}
			if durations(got) != want {
				t.Errorf("%s, eager %v: pauses %s\nwant %s", tt.name, eager, durations(got), want)
			}
		}
	}
}

func TestEagerIsOffInSDK(t *testing.T) {
	p := exact(preset(t, "sdk"))
	p.RetryConnectTimeouts = true
	budget := p.Budget()
	var got []time.Duration
	for _, class := range []policy.Class{policy.Unreachable, policy.ConnectTimeout, "503"} {
		got = append(got, budget.Next(required(class), 0).Pause)
	}
	if want := "[1s 2s 4s]"; durations(got) != want {
		t.Errorf("pauses %s, want %s", durations(got), want)
	}
}
