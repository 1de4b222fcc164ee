// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/imds-ready/imds-ready/bench/internal/program"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// startSimulator builds the simulator into bin and runs it until the test ends.
func startSimulator(t *testing.T, bin string) *sim.Simulator {
	t.Helper()
	path, err := program.Own(t.Context(), "simulator", bin)
	if err != nil {
		t.Fatal(err)
	}
	server, err := sim.Start(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() }) // killed with the test's context, maybe
	return server
}

// shortDir is short enough for a socket's path, as t.TempDir is not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
