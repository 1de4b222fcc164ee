// SPDX-License-Identifier: Apache-2.0

// Command packets counts the packets that a crawl sends in a second; an instance may send 1024 to link-local addresses.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("packets", "Packets of a crawl", bench.Packets) }
