// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// The failure modes that check shows.
var (
	refusing   = required(policy.ConnectionRefused)
	blackHoled = required(policy.ConnectTimeout)
	hanging    = required(policy.ReadTimeout)
	answer503  = required("503")
	noNetwork  = required(policy.Unreachable)
)

// steps is the whole timeline, or its first limit steps.
func steps(p policy.Policy, f policy.Failure, cost time.Duration, limit int) []policy.Step {
	var all []policy.Step
	for s := range p.Timeline(f, cost) {
		if all = append(all, s); len(all) == limit {
			break
		}
	}
	return all
}

// TestTimelineBegins: the first attempts of each failure mode, to the
// nanosecond; imds-ready.toml(5) gives the numbers.
func TestTimelineBegins(t *testing.T) {
	boot, sdk := preset(t, "boot"), preset(t, "sdk")
	toggled := sdk
	toggled.RetryConnectTimeouts = true
	tests := []struct {
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
		{"sdk, 503", sdk, answer503, 0, []time.Duration{0, 1000 * ms, 3000 * ms, 7000 * ms}},
		{"sdk with the toggle, black hole", toggled, blackHoled, sdk.ConnectTimeout, []time.Duration{0, 2000 * ms, 5000 * ms, 10000 * ms}},
		{"sdk, black hole", sdk, blackHoled, sdk.ConnectTimeout, []time.Duration{0}},
		{"sdk, refusing", sdk, refusing, 0, []time.Duration{0}},
	}
	for _, tt := range tests {
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

// endTest is a wait and its last step.
type endTest struct {
	name    string
	policy  policy.Policy
	failure policy.Failure
	cost    time.Duration
	want    policy.Step
}

func (e endTest) run(t *testing.T) {
	all := steps(e.policy, e.failure, e.cost, 1000)
	if got := all[len(all)-1]; got != e.want || len(all) != e.want.Try {
		t.Errorf("%d steps, the last %+v\nwant %+v", len(all), got, e.want)
	}
}

// TestTimelineEnds: the last step under each preset, in full.
func TestTimelineEnds(t *testing.T) {
	const s, minutes5 = time.Second, 5 * time.Minute
	boot, sdk := preset(t, "boot"), preset(t, "sdk")
	toggled := sdk
	toggled.RetryConnectTimeouts = true
	for _, e := range []endTest{
		{ // 750 ms for four pauses, then each 500 ms: the last starts 250 ms before the deadline
			"boot, refusing: cut in a pause", boot, refusing, 0,
			policy.Step{Try: 603, Attempt: 603, Start: minutes5 - 250*ms, End: minutes5 - 250*ms, Pause: 250 * ms, Stop: policy.ErrDeadline},
		},
		{
			"boot, black hole: cut in a pause", boot, blackHoled, 250 * ms,
			policy.Step{Try: 402, Attempt: 402, Start: minutes5 - 500*ms, End: minutes5 - 250*ms, Pause: 250 * ms, Stop: policy.ErrDeadline},
		},
		{ // the 121st would end 750 ms too late: it is no attempt
			"boot, hanging: cut in an attempt", boot, hanging, 2 * s,
			policy.Step{Try: 121, Attempt: 120, Start: minutes5 - 1250*ms, End: minutes5, Cut: true, Stop: policy.ErrDeadline},
		},
		{
			"boot, no network: no attempt is used up", boot, noNetwork, 0,
			policy.Step{Try: 603, Attempt: 0, Start: minutes5 - 250*ms, End: minutes5 - 250*ms, Pause: 250 * ms, Stop: policy.ErrDeadline},
		},
		{
			"sdk, 503: max_attempts", sdk, answer503, 0,
			policy.Step{Try: 4, Attempt: 4, Start: 7 * s, End: 7 * s, Stop: policy.ErrAttempts},
		},
		{
			"sdk with the toggle, hanging: max_attempts", toggled, hanging, s,
			policy.Step{Try: 4, Attempt: 4, Start: 10 * s, End: 11 * s, Stop: policy.ErrAttempts},
		},
		{
			"sdk, refusing: final at once", sdk, refusing, 0,
			policy.Step{Try: 1, Attempt: 1, Stop: policy.ErrFinal},
		},
		{
			"sdk, hanging: final after its timeout", sdk, hanging, s,
			policy.Step{Try: 1, Attempt: 1, End: s, Stop: policy.ErrFinal},
		},
	} {
		t.Run(e.name, e.run)
	}
}

// TestTimelineAtTheDeadline: an attempt or a pause is cut there (imds-ready.toml(5), "One budget").
func TestTimelineAtTheDeadline(t *testing.T) {
	const s = time.Second
	brief := preset(t, "boot")
	brief.Deadline = 3 * s
	counted, nano := brief, brief
	counted.MaxAttempts, nano.Deadline = 3, 50*ms+2
	for _, e := range []endTest{
		{ // an I/O timeout that falls on the deadline is a cut
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
		{
			"the first attempt ends on the deadline", brief, hanging, 3 * s,
			policy.Step{Try: 1, Attempt: 1, End: 3 * s, Cut: true, Stop: policy.ErrDeadline},
		},
		{
			"max_attempts before the deadline", counted, answer503, 900 * ms,
			policy.Step{Try: 3, Attempt: 3, Start: 1950 * ms, End: 2850 * ms, Stop: policy.ErrAttempts},
		},
		{
			"the deadline in the attempt that would be the last", counted, answer503, 950 * ms,
			policy.Step{Try: 3, Attempt: 2, Start: 2050 * ms, End: 3 * s, Cut: true, Stop: policy.ErrDeadline},
		},
	} {
		t.Run(e.name, e.run)
	}
}

// TestTimelineWithoutLimit: it goes on for ever, and a caller may stop.
func TestTimelineWithoutLimit(t *testing.T) {
	p := preset(t, "boot")
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

// TestTimelineBegunAgain: one sequence may be ranged over twice, and breaking
// out of it leaves nothing behind.
func TestTimelineBegunAgain(t *testing.T) {
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

// TestTimelineWithRetryAfter: check may show a throttled boot.
func TestTimelineWithRetryAfter(t *testing.T) {
	p := preset(t, "boot")
	p.Deadline = time.Minute
	f := required("429")
	f.RetryAfter = 25 * time.Second
	var starts []time.Duration
	for _, s := range steps(p, f, 0, 10) {
		starts = append(starts, s.Start)
	}
	if want := "[0s 25s 50s]"; durations(starts) != want {
		t.Errorf("attempts at %s, want %s", durations(starts), want)
	}
}
