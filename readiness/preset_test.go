// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// asShipped sets the preset boot without jitter. Other tests use a curve that doubles,
// because its numbers are easier to read.
func (tr *trial) asShipped() *trial {
	attempts, deadline := tr.config.Policy.MaxAttempts, tr.config.Policy.Deadline
	tr.config.Policy = policy.Boot()
	tr.config.Policy.Backoff.Jitter = policy.JitterNone
	return tr.limits(attempts, deadline)
}

// With the preset boot, each pause is 1.5 % longer than the one before and counts from the
// start of the attempt. A token request is repeated every 500 ms.
func TestBootAsShipped(t *testing.T) {
	const us = time.Microsecond
	for _, tt := range []struct {
		name, schedule string
		attempts       int
		want           []time.Duration // when the requests begin
	}{
		{
			"refused", "refuse", 7,
			[]time.Duration{0, 80000 * us, 161199999, 243617998, 327272267, 412181351, 498364071},
		},
		{"a connect timeout is part of its pause", "blackhole", 4, []time.Duration{0, 250000 * us, 500000 * us, 750000 * us}},
		{"a Retry-After counts from the end", "503;retry-after=1x1,503", 2, []time.Duration{0, time.Second}},
		{
			"hanging", "hang", 2,
			[]time.Duration{0, 500000 * us, time.Second, 1500000 * us, 2 * time.Second, 2500000 * us, 3 * time.Second, 3500000 * us},
		},
		{
			"an attempt that gets further restarts the curve", "refusex3,503", 6,
			[]time.Duration{0, 80000 * us, 161199999, 243617998, 323617998, 404817997},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.schedule).gateOnly().limits(tt.attempts, time.Minute).asShipped().run(t)
			if got := tr.connectTimes(); !slices.Equal(got, tt.want) {
				t.Errorf("requests began at %v\nwant              %v", got, tt.want)
			}
		})
	}
}

// A change of the network brings the next attempt forward, but to no less than 25 ms
// after the start of the one before.
func TestBootChangesAsShipped(t *testing.T) {
	tr := faulty(t, "unreachable:3s,ok").gateOnly().asShipped()
	// 5 ms after an attempt, then several at once, and when IMDS times to answer.
	tr.watch = networkChanges(5*time.Millisecond, 100*time.Millisecond, 101*time.Millisecond, 102*time.Millisecond, 103*time.Millisecond, 3*time.Second)
	tr.run(t)
	times := tr.connectTimes()
	for i := 1; i < len(times); i++ {
		if times[i]-times[i-1] < 25*time.Millisecond && times[i] < 3*time.Second {
			t.Errorf("attempts at %v and %v", times[i-1], times[i])
		}
	}
	if times[1] != 26*time.Millisecond || tr.elapsed > 3026*time.Millisecond {
		t.Errorf("second attempt at %v, ready after %v", times[1], tr.elapsed)
	}
}

// A Retry-After of a day waits for 30 s, and a multiplier of 1 keeps all pauses equal.
func TestUnusualPolicies(t *testing.T) {
	tr := faulty(t, "503;retry-after=86400x1,ok").gateOnly().asShipped().run(t)
	if tr.elapsed != 30*time.Second {
		t.Errorf("a Retry-After of a day is %v, want 30s", tr.elapsed)
	}
	tr = faulty(t, "refuse:1s,ok").gateOnly().asShipped()
	tr.config.Policy.Backoff.Multiplier = 1
	tr.run(t)
	if got := strings.Join(tr.trace(), ""); tr.elapsed != 1040*time.Millisecond || strings.Count(got, "refuse") != 13 {
		t.Errorf("ready after %v with %d attempts, want one each 80 ms", tr.elapsed, strings.Count(got, "refuse"))
	}
}
