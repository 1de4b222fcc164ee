// SPDX-License-Identifier: Apache-2.0

// Command startup measures the time from the start of a program until it has the whole metadata tree, with IMDS up.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("startup", "From start to ready, IMDS up", bench.Startup) }
