// SPDX-License-Identifier: Apache-2.0

// Command waiting measures the processor time, memory and packets of programs that wait while IMDS does not come up.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("waiting", "What waiting costs", bench.Waiting) }
