// SPDX-License-Identifier: Apache-2.0

// Command watch measures what it costs to ask for a few paths all the time, and how soon a change is in its file.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("watch", "What watching costs", bench.Watch) }
