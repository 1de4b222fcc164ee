// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic tells a time of this process as every process of the machine does:
// in seconds of CLOCK_MONOTONIC. t has to have its monotonic reading.
func Monotonic(t time.Time) float64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // there is no Linux without this clock
	}
	return (time.Duration(now.Nano()) - time.Since(t)).Seconds()
}
