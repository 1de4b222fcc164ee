// SPDX-License-Identifier: Apache-2.0

// Command lag measures how long after IMDS has come up a program notices it, for four kinds of outages.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("lag", "Lag: from IMDS up to ready", bench.Lag()) }
