// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"math"
	"math/rand/v2"
	"time"
)

// Jitter spreads pauses, so that a fleet that boots together does not send its
// requests together.
type Jitter string

// The kinds of jitter, with the range of a pause whose place on the curve is d. All
// are applied after the cap (AWS Architecture Blog, "Exponential Backoff And Jitter").
const (
	JitterFull  Jitter = "full"  // [0, d)
	JitterEqual Jitter = "equal" // [d/2, d)
	JitterNone  Jitter = "none"  // exactly d
)

// Jitters returns the three kinds.
func Jitters() []Jitter { return []Jitter{JitterFull, JitterEqual, JitterNone} }

// Backoff is a curve of pauses: Initial, then each Multiplier times the one
// before, never above Max.
type Backoff struct {
	// Initial is the first pause. If zero or negative, there are no pauses.
	Initial time.Duration
	// Max is the longest pause. It also caps Initial.
	Max time.Duration
	// Multiplier is 1 or more; smaller values count as 1.
	Multiplier float64
	// Jitter is applied last. The empty Jitter means JitterNone.
	Jitter Jitter
}

// Delay returns the n-th pause, counted from 0. It is random unless the Jitter is
// [JitterNone].
func (b Backoff) Delay(n int) time.Duration {
	if b.Initial <= 0 {
		return 0
	}
	d := b.Max
	// The comparison is made as floats: the product may be far above what a
	// Duration holds, or infinite.
	if f := float64(b.Initial) * math.Pow(max(1, b.Multiplier), float64(n)); f < float64(b.Max) {
		d = time.Duration(f)
	}
	switch b.Jitter {
	case JitterFull:
		return between(0, d)
	case JitterEqual:
		return between(d/2, d)
	default:
		return d
	}
}

// between draws from [low, high), and returns low if that is empty.
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low)
}
