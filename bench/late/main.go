// SPDX-License-Identifier: Apache-2.0

// Command late measures how long after the network has come up a program has the answer of IMDS, which is up from the
// beginning.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("late", "A late address", bench.Late()) }
