// SPDX-License-Identifier: Apache-2.0

// Package quantile says what a noisy machine can be believed: medians and other
// quantiles, and the ratios of runs that were made side by side.
package quantile

import (
	"math"
	"slices"
)

// Number is what can be measured: a [time.Duration], bytes, a ratio.
type Number interface{ ~int64 | ~float64 }

// Of returns the q-quantile (0 the least, 0.5 the median, 1 the greatest) of the
// values, between two neighbours by linear interpolation, the usual "type 7". No
// values: 0.
func Of[N Number](values []N, q float64) N {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := min(max(q, 0), 1) * float64(len(sorted)-1)
	low := math.Floor(at)
	a, b := sorted[int(low)], sorted[int(math.Ceil(at))]
	return a + N((at-low)*float64(b-a))
}

// Ratios returns a[i]/b[i] of runs made in pairs. The median of these holds when
// the machine's speed drifts, which the ratio of the medians does not. Both have
// the same length.
func Ratios[N Number](a, b []N) []float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = float64(a[i]) / float64(b[i])
	}
	return ratios
}
