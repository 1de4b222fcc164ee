// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/policy"
)

func outageOf(class policy.Class, until time.Duration) outage {
	return outage{kind: "test", phases: []phase{{class, until}}}
}

func TestBoot(t *testing.T) {
	const ms = time.Millisecond
	eager, _ := policy.Preset(policy.PresetBoot)
	sdk, _ := policy.Preset(policy.PresetSDK)
	// A curve that doubles, and pauses from the end of an attempt: numbers that are easy to read.
	eager.Backoff = policy.Backoff{Initial: 50 * ms, Max: 500 * ms, Multiplier: 2}
	eager.FromStart, sdk.Backoff.Jitter = false, policy.JitterNone
	lazy, toggled, hurried := eager, sdk, eager
	lazy.Eager, toggled.RetryConnectTimeouts, hurried.Deadline = false, true, time.Second
	ready := func(lag time.Duration, requests int) ending {
		return ending{lag: lag + 2*roundTrip, requests: requests}
	}
	const us = time.Microsecond
	for _, tc := range []struct {
		name   string
		policy policy.Policy
		outage outage
		want   ending
	}{
		// Unreachable takes no time, so that the attempts are at 0, 50, 150, 350, 750, 1250 ms.
		{"no network", lazy, outageOf(policy.Unreachable, 1000*ms), ready(250*ms, 7)},
		{"up at an attempt", lazy, outageOf(policy.Unreachable, 1250*ms), ready(0, 7)},
		{"woken", eager, outageOf(policy.Unreachable, 1000*ms), ready(settling, 7)},
		// The attempt at 750 ms is not followed by one at 760 ms.
		{"woken, not too soon", eager, outageOf(policy.Unreachable, 760*ms), ready(16*ms, 7)},
		// Each attempt takes 0.5 ms: 0, 50.5, 151, 351.5, 752, 1252.5 ms.
		{"refused", eager, outageOf(policy.ConnectionRefused, 1000*ms), ready(252500*us, 7)},
		// 0-250, 300-550, 650-900, then at 1100.
		{"black hole", eager, outageOf(policy.ConnectTimeout, 1000*ms), ready(100*ms, 5)},
		// 0-2000.5, then at 2050.5: an attempt that hangs keeps hanging.
		{"hanging", lazy, outageOf(policy.ReadTimeout, 10*ms), ready(2040500*us, 3)},
		{"hanging, the second PUT", eager, outageOf(policy.ReadTimeout, 10*ms), ready(490*ms, 3)},
		{"hanging, the third PUT", eager, outageOf(policy.ReadTimeout, 600*ms), ready(400*ms, 4)},
		{"hanging, all four", eager, outageOf(policy.ReadTimeout, 1600*ms), ready(450500*us, 6)},
		// The first answer restarts the curve: 0, 50, 150 unreachable; 350 503, then 50.5 ms later. Otherwise: 750.5.
		{"a sign of life", eager, outage{phases: []phase{{policy.ConnectionRefused, 300 * ms}, {"503", 360 * ms}}}, ready(42*ms, 6)},
		{"no sign of life", lazy, outage{phases: []phase{{policy.ConnectionRefused, 300 * ms}, {"503", 360 * ms}}}, ready(392*ms, 6)},
		{"401 costs two requests", eager, outageOf("401", 10*ms), ready(41*ms, 4)},
		{"sdk, refused", sdk, outageOf(policy.ConnectionRefused, 10*ms), ending{gaveUp: true, requests: 1}},
		{"sdk, 503", sdk, outageOf("503", 10*ms), ready(990500*us, 3)},
		{"sdk, four attempts", sdk, outageOf("503", time.Hour), ending{gaveUp: true, requests: 4}},
		{"sdk, toggle", toggled, outageOf(policy.ConnectionRefused, 10*ms), ready(990500*us, 3)},
		{"deadline in a pause", hurried, outageOf(policy.Unreachable, time.Hour), ending{gaveUp: true, requests: 5}},
		{"deadline in an attempt", hurried, outageOf(policy.ReadTimeout, time.Hour), ending{gaveUp: true, requests: 4}},
	} {
		tc.want.kind = tc.outage.kind
		if got := boot(tc.policy, tc.outage); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestBootEndsAndIsNeverEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		for _, c := range contestants() {
			e := boot(c.policy, o)
			if e.requests < 1 || e.kind != o.kind || !e.gaveUp && e.lag < 2*roundTrip {
				t.Fatalf("%s: %+v of %+v", c.name, e, o)
			}
			if c.name == "boot" && e.gaveUp && o.up() < 5*time.Minute {
				t.Fatalf("the preset boot gave up: %+v", o)
			}
		}
	})
}

func TestDraw(t *testing.T) {
	const n = 20_000
	random := rand.New(rand.NewPCG(7, 0))
	seen, above := map[string]int{}, 0
	for range n {
		o := draw(random)
		seen[o.kind]++
		if o.up().Seconds() > medianSeconds {
			above++
		}
		if !slices.IsSortedFunc(o.phases, func(a, b phase) int { return cmp.Compare(a.until, b.until) }) {
			t.Fatalf("phases out of order: %+v", o)
		}
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 0.02 {
			t.Errorf("%s: %.3f of the boots, want %.3f", what, got, want)
		}
	}
	near("above the median", float64(above)/n, 0.5)
	for _, k := range kinds() {
		near(k.kind, float64(seen[k.kind])/n, k.share)
		if end := k.phases[len(k.phases)-1].until; end != time.Second {
			t.Errorf("%s ends after %v of a second", k.kind, end)
		}
	}
}

func TestRun(t *testing.T) {
	var b strings.Builder
	err := report.Run(t.Context(), "boots", "Title", setup, []string{"-n", "200"}, &b)
	if err != nil || !strings.Contains(b.String(), "\n| sdk, retry_connect_timeouts ") || !strings.Contains(b.String(), "\n| black hole ") {
		t.Errorf("%v, report:\n%s", err, b.String())
	}
}

func TestEndings(t *testing.T) {
	e := endings{{lag: time.Second, requests: 3}, {gaveUp: true, requests: 5}}
	mean, p99 := e.requests()
	if e.giveUps() != "500" || mean != 4.0 || math.Round(p99) != 5 || e.lag(1) != "1.00 s" || e[1:].lag(0.5) != "-" || e[:0].giveUps() != "-" {
		t.Errorf("give-ups %s, requests %v and %v, lag %s", e.giveUps(), mean, p99, e.lag(1))
	}
}
