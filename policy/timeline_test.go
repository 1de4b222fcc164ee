// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/policy"
)

// The failure modes that the command check shows.
var (
	refusing   = required(policy.ConnectionRefused)
	blackHoled = required(policy.ConnectTimeout)
	hanging    = required(policy.ReadTimeout)
	answer503  = required("503")
	noNetwork  = required(policy.Unreachable)
)

// steps returns the timeline, or its first limit steps.
func steps(p policy.Policy, f policy.Failure, cost time.Duration, limit int) []policy.Step {
	var all []policy.Step
	for s := range p.Timeline(f, cost) {
		if all = append(all, s); len(all) == limit {
			break
		}
	}
	return all
}

// The first attempts of each failure mode, with the numbers of imds-ready.toml(5).
func TestTimelineStart(t *testing.T) {
	boot, sdk := doubling(t), preset(t, "sdk")
	toggled := sdk
	toggled.RetryConnectTimeouts = true
	for _, tt := range []struct {
		name    string
		policy  policy.Policy
		failure policy.Failure
		cost    time.Duration
		want    []time.Duration // when each attempt starts
	}{
		{"boot, refusing", boot, refusing, 0, []time.Duration{0, 50 * ms, 150 * ms, 350 * ms, 750 * ms, 1250 * ms, 1750 * ms}},
		{"boot, 503", boot, answer503, 0, []time.Duration{0, 50 * ms, 150 * ms, 350 * ms, 750 * ms, 1250 * ms, 1750 * ms}},
		{"boot, no network", boot, noNetwork, 0, []time.Duration{0, 50 * ms, 150 * ms, 350 * ms, 750 * ms, 1250 * ms, 1750 * ms}},
		{"boot, black hole", boot, blackHoled, boot.ConnectTimeout, []time.Duration{0, 300 * ms, 650 * ms, 1100 * ms, 1750 * ms, 2500 * ms, 3250 * ms}},
		{"boot, hanging", boot, hanging, boot.ReadTimeout, []time.Duration{0, 2050 * ms, 4150 * ms, 6350 * ms, 8750 * ms, 11250 * ms, 13750 * ms}},
		// With pauses from the start of an attempt, a connect timeout is part of its pause.
		{"boot itself, black hole", exact(preset(t, "boot")), blackHoled, 100 * ms, []time.Duration{0, 100 * ms, 200 * ms, 300 * ms}},
		{"boot itself, refusing", exact(preset(t, "boot")), refusing, 10 * ms, []time.Duration{0, 80 * ms, 161199999}},
		{"sdk, 503", sdk, answer503, 0, []time.Duration{0, 1000 * ms, 3000 * ms, 7000 * ms}},
		{"sdk with the toggle, black hole", toggled, blackHoled, sdk.ConnectTimeout, []time.Duration{0, 2000 * ms, 5000 * ms, 10000 * ms}},
		{"sdk, black hole", sdk, blackHoled, sdk.ConnectTimeout, []time.Duration{0}},
		{"sdk, refusing", sdk, refusing, 0, []time.Duration{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var starts []time.Duration
			for i, s := range steps(tt.policy, tt.failure, tt.cost, len(tt.want)) {
				starts = append(starts, s.Start)
				if s.Try != i+1 || s.End != s.Start+tt.cost || s.Cut {
					t.Errorf("step %d: %+v, want try %d, %v long", i, s, i+1, tt.cost)
				}
			}
			if durations(starts) != durations(tt.want) {
				t.Errorf("attempts at %s\nwant        %s", durations(starts), durations(tt.want))
			}
		})
	}
}

// The last step of a wait. The deadline cuts an attempt or a pause (imds-ready.toml(5),
// "One budget").
func TestTimelineEnd(t *testing.T) {
	const s, minutes5 = time.Second, 5 * time.Minute
	boot, sdk := doubling(t), preset(t, "sdk")
	toggled, brief := sdk, boot
	toggled.RetryConnectTimeouts, brief.Deadline = true, 3*s
	counted, nano := brief, brief
	counted.MaxAttempts, nano.Deadline = 3, 50*ms+2
	for _, tt := range []struct {
		name    string
		policy  policy.Policy
		failure policy.Failure
		cost    time.Duration
		want    policy.Step
	}{
		{ // 750 ms for four pauses, then each 500 ms: the last starts 250 ms before the deadline
			"boot, refusing: cut in a pause", boot, refusing, 0,
			policy.Step{Try: 603, Attempt: 603, Start: minutes5 - 250*ms, End: minutes5 - 250*ms, Pause: 250 * ms, Stop: policy.ErrDeadline},
		},
		{
			"boot, black hole: cut in a pause", boot, blackHoled, 250 * ms,
			policy.Step{Try: 402, Attempt: 402, Start: minutes5 - 500*ms, End: minutes5 - 250*ms, Pause: 250 * ms, Stop: policy.ErrDeadline},
		},
		{ // the 121st would end 750 ms too late, so it does not count
			"boot, hanging: cut in an attempt", boot, hanging, 2 * s,
			policy.Step{Try: 121, Attempt: 120, Start: minutes5 - 1250*ms, End: minutes5, Cut: true, Stop: policy.ErrDeadline},
		},
		{
			"boot, no network: no attempt is used up", boot, noNetwork, 0,
			policy.Step{Try: 603, Attempt: 0, Start: minutes5 - 250*ms, End: minutes5 - 250*ms, Pause: 250 * ms, Stop: policy.ErrDeadline},
		},
		{"sdk, 503: max_attempts", sdk, answer503, 0, policy.Step{Try: 4, Attempt: 4, Start: 7 * s, End: 7 * s, Stop: policy.ErrAttempts}},
		{"sdk with the toggle, hanging: max_attempts", toggled, hanging, s, policy.Step{Try: 4, Attempt: 4, Start: 10 * s, End: 11 * s, Stop: policy.ErrAttempts}},
		{"sdk, refusing: final at once", sdk, refusing, 0, policy.Step{Try: 1, Attempt: 1, Stop: policy.ErrFinal}},
		{"sdk, hanging: final after its timeout", sdk, hanging, s, policy.Step{Try: 1, Attempt: 1, End: s, Stop: policy.ErrFinal}},
		{ // an attempt that ends on the deadline is cut
			"an attempt that ends on the deadline", brief, answer503, 1500*ms - 25*ms,
			policy.Step{Try: 2, Attempt: 1, Start: 1525 * ms, End: 3 * s, Cut: true, Stop: policy.ErrDeadline},
		},
		{
			"an attempt of a nanosecond that ends on the deadline", nano, answer503, 1,
			policy.Step{Try: 2, Attempt: 1, Start: 50*ms + 1, End: 50*ms + 2, Cut: true, Stop: policy.ErrDeadline},
		},
		{
			"a pause that ends on the deadline", brief, answer503, 1500*ms - 75*ms,
			policy.Step{Try: 2, Attempt: 2, Start: 1475 * ms, End: 2900 * ms, Pause: 100 * ms, Stop: policy.ErrDeadline},
		},
		{ // the only attempt counts
			"the first attempt is cut", brief, hanging, 10 * s,
			policy.Step{Try: 1, Attempt: 1, End: 3 * s, Cut: true, Stop: policy.ErrDeadline},
		},
		{"the first attempt ends on the deadline", brief, hanging, 3 * s, policy.Step{Try: 1, Attempt: 1, End: 3 * s, Cut: true, Stop: policy.ErrDeadline}},
		{"max_attempts before the deadline", counted, answer503, 900 * ms, policy.Step{Try: 3, Attempt: 3, Start: 1950 * ms, End: 2850 * ms, Stop: policy.ErrAttempts}},
		{
			"the deadline in the attempt that would be the last", counted, answer503, 950 * ms,
			policy.Step{Try: 3, Attempt: 2, Start: 2050 * ms, End: 3 * s, Cut: true, Stop: policy.ErrDeadline},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := steps(tt.policy, tt.failure, tt.cost, 1000)
			if got := all[len(all)-1]; got != tt.want || len(all) != tt.want.Try {
				t.Errorf("%d steps, the last %+v\nwant %+v", len(all), got, tt.want)
			}
		})
	}
}

// Without limits, the sequence is infinite, and a caller may stop.
func TestTimelineWithoutLimit(t *testing.T) {
	p := doubling(t)
	p.Deadline = 0
	const limit = 10_000
	all := steps(p, blackHoled, p.ConnectTimeout, limit)
	if len(all) != limit {
		t.Fatalf("%d steps, want %d", len(all), limit)
	}
	// 1.75 s to the fifth attempt, then 750 ms each.
	want := policy.Step{Try: limit, Attempt: limit, Start: 1750*ms + (limit-5)*750*ms, Pause: 500 * ms}
	want.End = want.Start + p.ConnectTimeout
	if got := all[limit-1]; got != want {
		t.Errorf("step %d: %+v\nwant %+v", limit, got, want)
	}
}

// A sequence may be ranged over twice, also after a break.
func TestTimelineTwice(t *testing.T) {
	timeline := preset(t, "sdk").Timeline(answer503, 0)
	for s := range timeline {
		if s.Try == 2 {
			break
		}
	}
	var starts []time.Duration
	for s := range timeline {
		starts = append(starts, s.Start)
	}
	if want := "[0s 1s 3s 7s]"; durations(starts) != want {
		t.Errorf("attempts at %s, want %s", durations(starts), want)
	}
}

// wait is the loop of run around a Budget, with a clock that only attempts and pauses
// advance. The command check must print the same steps.
func wait(p policy.Policy, f policy.Failure, cost time.Duration, limit int) (all []policy.Step) {
	budget := exact(p).Budget()
	var clock time.Duration
	for len(all) < limit {
		step := policy.Step{Try: len(all) + 1, Start: clock}
		left := p.Deadline - clock
		if p.Deadline > 0 && cost > 0 && cost >= left {
			// The request is cut. It counts only if it is the only one.
			step.Cut, step.End, step.Stop = true, p.Deadline, policy.ErrDeadline
			step.Attempt = budget.Attempts()
			if len(all) == 0 && p.Decide(f) != policy.Wait {
				step.Attempt = 1
			}
			return append(all, step)
		}
		clock += cost
		v := budget.Next(f, clock)
		step.End, step.Attempt, step.Pause, step.Stop = clock, v.Attempt, v.Pause, v.Stop
		clock += v.Pause
		if v.Stop == nil && p.Deadline > 0 && clock == p.Deadline {
			step.Stop = policy.ErrDeadline
		}
		if all = append(all, step); step.Stop != nil {
			return all
		}
	}
	return all
}

// waits draws a policy, how each attempt fails, and how long that takes.
func waits(t *rapid.T) (policy.Policy, policy.Failure, time.Duration) {
	p, _ := policy.Preset(rapid.SampledFrom(policy.PresetNames()).Draw(t, "preset"))
	p.MaxAttempts = rapid.IntRange(0, 30).Draw(t, "max attempts")
	p.Deadline = time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "deadline"))
	p.Backoff = backoffs(t)
	p.RetryConnectTimeouts = rapid.Bool().Draw(t, "toggle")
	p.Eager = rapid.Bool().Draw(t, "eager")
	f := policy.Failure{
		Class:      rapid.SampledFrom(attemptClasses()).Draw(t, "class"),
		Required:   rapid.Bool().Draw(t, "required"),
		Token:      rapid.Bool().Draw(t, "token"),
		Headers:    rapid.Bool().Draw(t, "headers"),
		RetryAfter: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "Retry-After")),
	}
	cost := time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(5*time.Second))).Draw(t, "cost"))
	f.Took = cost
	return p, f, cost
}

func TestTimelineEqualsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f, cost := waits(t)
		const limit = 300
		want := wait(p, f, cost, limit)
		got := steps(p, f, cost, limit)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("step %d: %+v\nwant %+v", i, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d steps, want %d", len(got), len(want))
		}
	})
}

// Steps are contiguous and within the limits of the policy.
func TestTimelineInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f, cost := waits(t)
		var now time.Duration
		all := steps(p, f, cost, 300)
		for i, s := range all {
			last := i == len(all)-1
			switch {
			case s.Try != i+1 || s.Start != now || s.End < s.Start || s.Pause < 0:
				t.Fatalf("step %d: %+v, want it to start at %v", i, s, now)
			case p.Deadline > 0 && s.End+s.Pause > p.Deadline:
				t.Fatalf("step %d: %+v, past the deadline %v", i, s, p.Deadline)
			case p.MaxAttempts > 0 && s.Attempt > p.MaxAttempts:
				t.Fatalf("step %d: %+v, past max_attempts %d", i, s, p.MaxAttempts)
			case s.Cut && (s.Stop != policy.ErrDeadline || s.End != p.Deadline):
				t.Fatalf("step %d: %+v, cut but not at the deadline %v", i, s, p.Deadline)
			case s.Stop != nil && !last, s.Stop == nil && last && len(all) < 300:
				t.Fatalf("step %d of %d: %+v", i, len(all), s)
			}
			now = s.End + s.Pause
		}
	})
}
