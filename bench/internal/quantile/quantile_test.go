// SPDX-License-Identifier: Apache-2.0

package quantile

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOf(t *testing.T) {
	ms := func(n ...int) (all []time.Duration) {
		for _, n := range n {
			all = append(all, time.Duration(n)*time.Millisecond)
		}
		return all
	}
	for _, tc := range []struct {
		name   string
		values []time.Duration
		q      float64
		want   time.Duration
	}{
		{"none", nil, 0.5, 0},
		{"one", ms(7), 0.9, 7 * time.Millisecond},
		{"odd, unsorted", ms(9, 1, 5), 0.5, 5 * time.Millisecond},
		{"even", ms(1, 2, 3, 4), 0.5, 2500 * time.Microsecond},
		{"p90 of eleven", ms(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 0.9, 9 * time.Millisecond},
		{"least", ms(3, 2), 0, 2 * time.Millisecond},
		{"greatest", ms(3, 2), 1, 3 * time.Millisecond},
		{"negative", ms(-4, -2), 0.5, -3 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := slices.Clone(tc.values)
			if got := Of(tc.values, tc.q); got != tc.want {
				t.Errorf("Of(%v, %v) = %v, want %v", tc.values, tc.q, got, tc.want)
			}
			if !slices.Equal(before, tc.values) {
				t.Errorf("the values were moved: %v", tc.values)
			}
		})
	}
}

func TestOfStaysWithinAndGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 50).Draw(t, "values")
		p := rapid.Float64Range(-0.5, 1.5).Draw(t, "p")
		q := rapid.Float64Range(-0.5, 1.5).Draw(t, "q")
		low, high := Of(values, min(p, q)), Of(values, max(p, q))
		const slack = 1e-3 // of the interpolation
		if low > high+slack || low < slices.Min(values)-slack || high > slices.Max(values)+slack {
			t.Fatalf("quantiles %v and %v give %v and %v of %v", p, q, low, high, values)
		}
	})
}

func TestRatios(t *testing.T) {
	got := Ratios([]time.Duration{time.Second, 3 * time.Second}, []time.Duration{2 * time.Second, time.Second})
	if want := []float64{0.5, 3}; !slices.Equal(got, want) {
		t.Errorf("ratios %v, want %v", got, want)
	}
}
