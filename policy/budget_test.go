// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// event is one failed attempt and the verdict on it.
type event struct {
	class policy.Class
	at    time.Duration // since the start of the wait
	want  policy.Verdict
}

// again is a verdict to continue.
func again(action policy.Action, attempt int, pause time.Duration) policy.Verdict {
	return policy.Verdict{Action: action, Attempt: attempt, Pause: pause}
}

// stop is a verdict to give up.
func stop(action policy.Action, attempt int, why error) policy.Verdict {
	return policy.Verdict{Action: action, Attempt: attempt, Stop: why}
}

// bootWith returns the preset boot without jitter and with these limits.
func bootWith(t *testing.T, attempts int, deadline time.Duration) policy.Policy {
	t.Helper()
	p := doubling(t)
	p.MaxAttempts, p.Deadline = attempts, deadline
	return p
}

// waitTest is a policy and a sequence of failed attempts.
type waitTest struct {
	name   string
	policy policy.Policy
	events []event
}

func (w waitTest) run(t *testing.T) {
	budget := w.policy.Budget()
	if got := budget.Attempts(); got != 0 {
		t.Errorf("%d attempts before the first", got)
	}
	for i, e := range w.events {
		got := budget.Next(required(e.class), e.at)
		if got != e.want {
			t.Errorf("attempt %d, %s at %v: %+v\nwant %+v", i+1, e.class, e.at, got, e.want)
		}
		if budget.Attempts() != e.want.Attempt {
			t.Errorf("attempt %d: Attempts() = %d, want %d", i+1, budget.Attempts(), e.want.Attempt)
		}
	}
}

func TestBudgetAttempts(t *testing.T) {
	const s = time.Second
	refused, unreachable := policy.ConnectionRefused, policy.Unreachable
	for _, w := range []waitTest{
		{"max_attempts counts every try, the first included", bootWith(t, 3, 0), []event{
			{refused, 0, again(policy.Retry, 1, 50*ms)},
			{refused, 50 * ms, again(policy.Retry, 2, 100*ms)},
			{refused, 150 * ms, stop(policy.Retry, 3, policy.ErrAttempts)},
		}},
		{"max_attempts 1 is one try", bootWith(t, 1, 0), []event{
			{"503", 0, stop(policy.Retry, 1, policy.ErrAttempts)},
		}},
		{"max_attempts 0 is no limit", bootWith(t, 0, 0), []event{
			{refused, 0, again(policy.Retry, 1, 50*ms)},
			{refused, 200 * time.Hour, again(policy.Retry, 2, 100*ms)},
		}},
		{"wait uses up no attempt but walks the curve", bootWith(t, 1, 0), []event{
			{unreachable, 0, again(policy.Wait, 0, 50*ms)},
			{unreachable, 50 * ms, again(policy.Wait, 0, 100*ms)},
			{unreachable, 150 * ms, again(policy.Wait, 0, 200*ms)},
			{refused, 350 * ms, stop(policy.Retry, 1, policy.ErrAttempts)},
		}},
		{"wait between attempts keeps the count", bootWith(t, 2, 0), []event{
			{refused, 0, again(policy.Retry, 1, 50*ms)},
			{unreachable, 50 * ms, again(policy.Wait, 1, 100*ms)},
			{refused, 150 * ms, stop(policy.Retry, 2, policy.ErrAttempts)},
		}},
		{"only the deadline ends a wait", bootWith(t, 1, s), []event{
			{unreachable, 0, again(policy.Wait, 0, 50*ms)},
			{unreachable, s, stop(policy.Wait, 0, policy.ErrDeadline)},
		}},
		{"fail is final at once and an attempt", bootWith(t, 0, 0), []event{
			{policy.Disabled, 0, stop(policy.Fail, 1, policy.ErrFinal)},
		}},
		{"a token that answers 500 four times under sdk", exact(preset(t, "sdk")), []event{
			{"500", 0, again(policy.Retry, 1, s)},
			{"500", s, again(policy.Retry, 2, 2*s)},
			{"500", 3 * s, again(policy.Retry, 3, 4*s)},
			{"500", 7 * s, stop(policy.Retry, 4, policy.ErrAttempts)},
		}},
		{"401 again and again under sdk is bounded too", exact(preset(t, "sdk")), []event{
			{"401", 0, again(policy.Retry, 1, s)},
			{"401", s, again(policy.Retry, 2, 2*s)},
			{"503", 3 * s, again(policy.Retry, 3, 4*s)},
			{"401", 7 * s, stop(policy.Retry, 4, policy.ErrAttempts)},
		}},
	} {
		t.Run(w.name, w.run)
	}
}

// The order in which several reasons end a wait.
func TestBudgetOrder(t *testing.T) {
	const s = time.Second
	refused := policy.ConnectionRefused
	for _, w := range []waitTest{
		{"final comes before attempts", bootWith(t, 1, 0), []event{
			{policy.TooLarge, 0, stop(policy.Fail, 1, policy.ErrFinal)},
		}},
		{"final comes before attempts and deadline", bootWith(t, 1, s), []event{
			{policy.Blocked, 2 * s, stop(policy.Fail, 1, policy.ErrFinal)},
		}},
		{"attempts come before the deadline", bootWith(t, 1, s), []event{
			{refused, s, stop(policy.Retry, 1, policy.ErrAttempts)},
		}},
		{"a pause ends at the deadline, to the nanosecond", bootWith(t, 0, s), []event{
			{refused, 0, again(policy.Retry, 1, 50*ms)},
			{refused, s - 100*ms, again(policy.Retry, 2, 100*ms)},       // ends there anyway
			{refused, s - 100*ms, again(policy.Retry, 3, 100*ms)},       // cut from 200 ms
			{refused, s - 1, again(policy.Retry, 4, 1)},                 // cut from 400 ms
			{refused, s, stop(policy.Retry, 5, policy.ErrDeadline)},     // reached
			{refused, 2 * s, stop(policy.Retry, 6, policy.ErrDeadline)}, // passed
		}},
	} {
		t.Run(w.name, w.run)
	}
}

func TestBudgetAbsentIsFinal(t *testing.T) {
	f := policy.Failure{Class: "404", Path: "meta-data/spot/instance-action", Headers: true}
	want := stop(policy.Absent, 1, policy.ErrFinal)
	if got := bootWith(t, 1, time.Second).Budget().Next(f, time.Hour); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The attempts in status.json include the successful one.
func TestSuccessIsAnAttempt(t *testing.T) {
	budget := bootWith(t, 0, 0).Budget()
	budget.Next(required(policy.Unreachable), 0) // a wait uses up no attempt
	budget.Next(required("503"), 0)
	budget.Next(required("503"), 0)
	if got := budget.Success(); got != 3 || budget.Attempts() != 3 {
		t.Errorf("Success() = %d, Attempts() = %d, want 3", got, budget.Attempts())
	}
	if got := (policy.Policy{}).Budget().Success(); got != 1 {
		t.Errorf("Success() at the first try = %d, want 1", got)
	}
}

// Budgets of one policy are independent.
func TestBudgetsAreIndependent(t *testing.T) {
	p := bootWith(t, 2, 0)
	first, second := p.Budget(), p.Budget()
	first.Next(required("503"), 0)
	first.Next(required("503"), 0)
	if got, want := second.Next(required("503"), 0), again(policy.Retry, 1, 50*ms); got != want {
		t.Errorf("the second budget begins with %+v, want %+v", got, want)
	}
}

// On 429 and 503, Retry-After lengthens the pause, up to the larger of max_backoff and
// 30 s, and never past the deadline (imds-ready.toml(5)). The pause without it is
// 50 ms.
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
	for _, tt := range []struct {
		name    string
		policy  policy.Policy
		class   policy.Class
		after   time.Duration
		elapsed time.Duration
		want    time.Duration
	}{
		{"no Retry-After", boot, "503", 0, 0, 50 * ms},
		{"below the pause", boot, "503", 10 * ms, 0, 50 * ms},
		{"above the pause", boot, "503", 2 * s, 0, 2 * s},
		{"on a 429", boot, "429", 2 * s, 0, 2 * s},
		{"at the cap", boot, "503", 30 * s, 0, 30 * s},
		{"above the cap of 30 s", boot, "503", 31 * s, 0, 30 * s},
		{"1000 h", boot, "429", 1000 * time.Hour, 0, 30 * s},
		{"a date in the past", boot, "503", -time.Hour, 0, 50 * ms},
		{"below a larger max_backoff", patient, "503", 45 * s, 0, 45 * s},
		{"above a larger max_backoff", patient, "503", 2 * time.Minute, 0, time.Minute},
		{"without jitter", jittery, "503", 3 * s, 0, 3 * s},
		{"past the deadline", boot, "503", 10 * s, 5*time.Minute - 4*s, 4 * s},
		{"no deadline", unlimited, "503", 10 * s, 100 * time.Hour, 10 * s},
		{"a rule that waits", waits, "503", 2 * s, 0, 2 * s},
		{"not on a 500", boot, "500", 2 * s, 0, 50 * ms},
		{"not on a 502", boot, "502", 2 * s, 0, 50 * ms},
		{"not on a 401", boot, "401", 2 * s, 0, 50 * ms},
		{"not on a 404", boot, "404", 2 * s, 0, 50 * ms},
		{"not on a 408", boot, "408", 2 * s, 0, 50 * ms},
		{"not on bad-response", boot, policy.BadResponse, 2 * s, 0, 50 * ms},
		{"sdk ignores it", sdk, "503", 7 * s, 0, s},
		{"sdk ignores it even if a rule retries", sdk429, "429", 7 * s, 0, s},
	} {
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

// In boot a pause counts from the start of an attempt, in sdk from its end. A
// Retry-After counts from the end in both, and no pause is negative.
func TestPauseFromStart(t *testing.T) {
	boot, sdk := exact(preset(t, "boot")), exact(preset(t, "sdk"))
	for _, tt := range []struct {
		name             string
		policy           policy.Policy
		took, retryAfter time.Duration
		want             time.Duration
	}{
		{"a quick failure", boot, 10 * ms, 0, 70 * ms},
		{"a connect timeout", boot, 250 * ms, 0, 0},
		{"exactly the pause", boot, 80 * ms, 0, 0},
		{"Retry-After", boot, 40 * ms, 2 * time.Second, 2 * time.Second},
		{"Retry-After below what is left", boot, 10 * ms, 20 * ms, 70 * ms},
		{"sdk", sdk, 400 * ms, 0, time.Second},
	} {
		f := required("503")
		f.Took, f.RetryAfter = tt.took, tt.retryAfter
		if got := tt.policy.Budget().Next(f, tt.took).Pause; got != tt.want {
			t.Errorf("%s: pause %v, want %v", tt.name, got, tt.want)
		}
	}
}

// After a Retry-After, the curve continues with its next pause.
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

// With eager, the backoff restarts when an attempt gets further than any before it, and
// only then (imds-ready.toml(5), "First sign of life").
func TestEager(t *testing.T) {
	for _, tt := range []struct{ name, classes, eager, notEager string }{
		{"one rise", "connection-refused connection-refused connection-refused 503 503", "[50ms 100ms 200ms 50ms 100ms]", "[50ms 100ms 200ms 400ms 500ms]"},
		{"the first failure is not a rise", "503 503", "[50ms 100ms]", "[50ms 100ms]"},
		{
			"a fall and a return are not a rise",
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
			"a rung below the highest is not a rise",
			"connect-timeout read-timeout connection-reset connection-refused read-timeout",
			"[50ms 50ms 100ms 200ms 400ms]", "[50ms 100ms 200ms 400ms 500ms]",
		},
		{"blocked and local-error are on the same rung", "local-error blocked local-error blocked", "[50ms 100ms 200ms 400ms]", "[50ms 100ms 200ms 400ms]"},
		{"all answers are on the same rung", "401 404 503 429 bad-response empty", "[50ms 100ms 200ms 400ms 500ms 500ms]", "[50ms 100ms 200ms 400ms 500ms 500ms]"},
	} {
		for _, eager := range []bool{true, false} {
			p := bootWith(t, 0, 0)
			p.Eager = eager
			p.Rules = []policy.Rule{rule(policy.Retry, "", "blocked")}
			budget := p.Budget()
			var got []time.Duration
			for class := range strings.FieldsSeq(tt.classes) {
				got = append(got, budget.Next(required(policy.Class(class)), 0).Pause)
			}
			want := tt.notEager
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

// A verdict names the rule that decided, so that the end of a wait can.
func TestVerdictNamesTheRule(t *testing.T) {
	p := policy.Boot()
	p.Rules = []policy.Rule{rule(policy.Retry, "", "503"), rule(policy.Fail, "user-data", "404"), rule(policy.Fail, "", "404")}
	for class, want := range map[policy.Class]policy.Verdict{
		"404":              {Action: policy.Fail, Rule: 3, Attempt: 1, Stop: policy.ErrFinal},
		policy.Blocked:     {Action: policy.Fail, Attempt: 1, Stop: policy.ErrFinal},
		policy.ReadTimeout: {Action: policy.Retry, Attempt: 1, Stop: policy.ErrDeadline},
	} {
		if got := p.Budget().Next(required(class), time.Hour); got != want {
			t.Errorf("%s: %+v, want %+v", class, got, want)
		}
	}
}
