// SPDX-License-Identifier: Apache-2.0

package waiters

import (
	"os"
	"path/filepath"
	"slices"
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

func TestBuiltAndTuned(t *testing.T) {
	var names []string
	for _, w := range Built("/bin") {
		names = append(names, w.Name)
	}
	if want := []string{Daemon, "SDK, 60 attempts, 1 s cap", Defaults, "curl, sleep 1"}; !slices.Equal(names, want) {
		t.Errorf("built %q, want %q", names, want)
	}
	dir := t.TempDir()
	const config = "[retry]\neager = false\n"
	p, err := Tuned("/bin", "other", config).Program(dir, "http://127.0.0.1:1")
	if err != nil || p.Path != "/bin/imds-ready" {
		t.Fatalf("%+v, %v", p, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "imds-ready.toml")); err != nil || string(b) != config {
		t.Errorf("the configuration is %q, %v", b, err)
	}
}
