// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/policy"
)

const ms = time.Millisecond

func TestBackoffSequence(t *testing.T) {
	curve := func(initial, limit time.Duration, multiplier float64) policy.Backoff {
		return policy.Backoff{Initial: initial, Max: limit, Multiplier: multiplier, Jitter: policy.JitterNone}
	}
	for _, tt := range []struct {
		name    string
		backoff policy.Backoff
		want    []time.Duration
	}{
		{"boot", exact(preset(t, "boot")).Backoff, []time.Duration{80 * ms, 81199999, 82417999, 83654269, 84909084}},
		{"doubling", doubling(t).Backoff, []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms, 500 * ms, 500 * ms}},
		{"sdk", exact(preset(t, "sdk")).Backoff, []time.Duration{1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 20000 * ms, 20000 * ms}},
		{"multiplier 1", curve(70*ms, time.Second, 1), []time.Duration{70 * ms, 70 * ms, 70 * ms, 70 * ms}},
		{"multiplier 1.5", curve(100*ms, time.Second, 1.5), []time.Duration{100 * ms, 150 * ms, 225 * ms, 337500 * time.Microsecond, 506250 * time.Microsecond}},
		{"multiplier 100", curve(ms, time.Hour, 100), []time.Duration{ms, 100 * ms, 10 * time.Second, 1000 * time.Second, time.Hour, time.Hour}},
		{"initial above max: the cap applies", curve(time.Second, 300*ms, 2), []time.Duration{300 * ms, 300 * ms, 300 * ms}},
		{"initial is max", curve(300*ms, 300*ms, 2), []time.Duration{300 * ms, 300 * ms}},
		{"max met exactly", curve(50*ms, 200*ms, 2), []time.Duration{50 * ms, 100 * ms, 200 * ms, 200 * ms}},
		{"the zero Jitter is none", policy.Backoff{Initial: ms, Max: time.Second, Multiplier: 2}, []time.Duration{ms, 2 * ms, 4 * ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []time.Duration
			for n := range tt.want {
				got = append(got, tt.backoff.Delay(n))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("pauses %v\nwant   %v", got, tt.want)
			}
		})
	}
}

// Each pause of boot is 1.5 % longer than the one before, so that it is about 80 ms plus
// 1.5 % of the wait so far. It reaches 250 ms after 77 pauses and 11 s.
func TestBackoffOfBoot(t *testing.T) {
	b := exact(preset(t, "boot")).Backoff
	waited := time.Duration(0)
	for n := range 77 {
		d := b.Delay(n)
		if want := b.Initial + waited*15/1000; (d - want).Abs() > time.Microsecond {
			t.Errorf("pause %d is %v after %v", n, d, waited)
		}
		waited += d
	}
	if b.Delay(76) >= 250*ms || b.Delay(77) != 250*ms || waited.Round(time.Second) != 11*time.Second {
		t.Errorf("pauses %v and %v after %v", b.Delay(76), b.Delay(77), waited)
	}
}

// doubling returns the preset boot with a curve that doubles from 50 ms to 500 ms,
// without jitter, and pauses that begin when an attempt ends: its numbers are easy to
// read in a table.
func doubling(t interface {
	Helper()
	Fatalf(string, ...any)
},
) policy.Policy {
	t.Helper()
	p := preset(t, "boot")
	p.Backoff, p.FromStart = policy.Backoff{Initial: 50 * ms, Max: 500 * ms, Multiplier: 2, Jitter: policy.JitterNone}, false
	return p
}

// exact returns the policy without jitter.
func exact(p policy.Policy) policy.Policy {
	p.Backoff.Jitter = policy.JitterNone
	return p
}

// An unlimited wait gets far beyond what a Duration and a float64 can hold.
func TestBackoffFarOut(t *testing.T) {
	for _, n := range []int{64, 1000, 1_000_000, math.MaxInt} {
		for _, multiplier := range []float64{1, 1.5, 2, 100} {
			for _, limit := range []time.Duration{500 * ms, time.Hour, math.MaxInt64} {
				b := policy.Backoff{Initial: 50 * ms, Max: limit, Multiplier: multiplier}
				want := limit
				if multiplier == 1 {
					want = b.Initial
				}
				if got := b.Delay(n); got != want {
					t.Errorf("pause %d of %+v: %v, want %v", n, b, got, want)
				}
			}
		}
	}
}

// backoffs draws curves within the ranges of imds-ready.toml(5).
func backoffs(t *rapid.T) policy.Backoff {
	return policy.Backoff{
		Initial:    time.Duration(rapid.Int64Range(int64(ms), int64(time.Hour)).Draw(t, "initial")),
		Max:        time.Duration(rapid.Int64Range(int64(ms), int64(time.Hour)).Draw(t, "max")),
		Multiplier: rapid.Float64Range(1, 100).Draw(t, "multiplier"),
		Jitter:     rapid.SampledFrom(policy.Jitters()).Draw(t, "jitter"),
	}
}

// places draws places on the curve, with more near the start.
func places() *rapid.Generator[int] {
	return rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0, math.MaxInt))
}

func TestBackoffJitterRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, n := backoffs(t), places().Draw(t, "n")
		got, jitter := b.Delay(n), b.Jitter
		b.Jitter = policy.JitterNone
		d := b.Delay(n)
		low, high := time.Duration(0), d // [low, high)
		switch jitter {
		case policy.JitterEqual:
			low = d / 2
		case policy.JitterNone:
			low, high = d, d+1
		}
		if got < low || got >= high || got > b.Max {
			t.Fatalf("%s: pause %v, want [%v, %v), never above %v", jitter, got, low, high, b.Max)
		}
	})
}

func TestBackoffGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, n := backoffs(t), rapid.IntRange(0, 100).Draw(t, "n")
		b.Jitter = policy.JitterNone
		if got, want := b.Delay(0), min(b.Initial, b.Max); got != want {
			t.Fatalf("first pause %v, want %v", got, want)
		}
		this, next := b.Delay(n), b.Delay(n+1)
		if next < this || next > b.Max {
			t.Fatalf("pause %v, then %v, with max %v", this, next, b.Max)
		}
		// The next pause is multiplied once, except for the rounding of both.
		want := min(float64(this)*b.Multiplier, float64(b.Max))
		if math.Abs(float64(next)-want) > b.Multiplier+1 {
			t.Fatalf("pause %v, then %v, want %v", this, next, time.Duration(want))
		}
	})
}

// Jitter draws from both halves of its range, including the low end. The chance of a
// false alarm is below 1 in 2^200.
func TestBackoffSpreads(t *testing.T) {
	for _, tt := range []struct {
		jitter policy.Jitter
		d      time.Duration
		middle time.Duration
	}{
		{policy.JitterFull, 400 * ms, 200 * ms},
		{policy.JitterEqual, 400 * ms, 300 * ms},
		{policy.JitterFull, 2, 1},  // 0 or 1
		{policy.JitterEqual, 4, 3}, // 2 or 3
	} {
		b := policy.Backoff{Initial: tt.d, Max: tt.d, Multiplier: 1, Jitter: tt.jitter}
		below := 0
		const draws = 300
		for range draws {
			if b.Delay(0) < tt.middle {
				below++
			}
		}
		if below == 0 || below == draws {
			t.Errorf("%s of %v: %d of %d pauses are below %v, want some on either side", tt.jitter, tt.d, below, draws, tt.middle)
		}
	}
}

// Values that a Go program may write into a literal.
func TestBackoffEdges(t *testing.T) {
	for _, tt := range []struct {
		name    string
		backoff policy.Backoff
		n       int
		want    time.Duration
	}{
		{"the zero value", policy.Backoff{}, 0, 0},
		{"nothing to jitter, full", policy.Backoff{Jitter: policy.JitterFull}, 3, 0},
		{"nothing to jitter, equal", policy.Backoff{Jitter: policy.JitterEqual}, 3, 0},
		{"a nanosecond", policy.Backoff{Initial: 1, Max: 1, Multiplier: 2, Jitter: policy.JitterFull}, 0, 0},
		{"just below the largest Duration", policy.Backoff{Initial: 1, Max: math.MaxInt64, Multiplier: 2}, 62, 1 << 62},
		{"the largest Duration", policy.Backoff{Initial: 1, Max: math.MaxInt64, Multiplier: 2}, 63, math.MaxInt64},
	} {
		if got := tt.backoff.Delay(tt.n); got != tt.want {
			t.Errorf("%s: pause %d is %d, want %d", tt.name, tt.n, got, tt.want)
		}
	}
}
