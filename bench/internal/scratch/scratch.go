// SPDX-License-Identifier: Apache-2.0

// Package scratch gives the benchmarks a directory in memory where there is
// one, as /run is on a real machine: a disk would be measured otherwise.
package scratch

import (
	"fmt"
	"os"
)

// Dir makes a directory and returns what removes it again.
func Dir() (dir string, remove func(), err error) {
	const pattern = "imds-bench-" // short: a socket's path has at most 107 bytes
	dir, err = os.MkdirTemp("/dev/shm", pattern)
	if err != nil {
		dir, err = os.MkdirTemp("", pattern)
	}
	if err != nil {
		return "", nil, fmt.Errorf("making a directory for the runs: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil // what is left is in memory
}
