// SPDX-License-Identifier: Apache-2.0

package waiters

import (
	"os"
	"testing"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// TestWaiters runs every waiter against an IMDS that is up.
func TestWaiters(t *testing.T) {
	simulator, all, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		t.Run(w.Name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "w") // short enough for a socket
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			server, err := sim.Start(t.Context(), simulator)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Stop()
			p, err := w.Program(dir, server.URL)
			if err != nil {
				t.Fatal(err)
			}
			r, err := process.Run(t.Context(), p)
			if err != nil || r.Code != 0 || (r.Ready > 0) != w.SaysReady {
				t.Errorf("%+v, %v; it printed:\n%s", r, err, r.Tail())
			}
			counts, err := server.Take()
			if err != nil || counts.PUTs != 1 || counts.GETs < 1 || counts.Others > 0 {
				t.Errorf("asked %+v, %v", counts, err)
			}
			if (w.Name == Daemon) != w.SaysReady {
				t.Errorf("says READY=1: %t", w.SaysReady)
			}
		})
	}
}
