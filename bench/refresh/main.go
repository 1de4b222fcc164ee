// SPDX-License-Identifier: Apache-2.0

// Command refresh measures a refresh of metadata that has not changed.
package main

import "github.com/imds-ready/imds-ready/bench/internal/bench"

func main() { bench.Main("refresh", "What a refresh costs", bench.Refresh) }
