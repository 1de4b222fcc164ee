// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// runWithin bounds each wait. The programs need milliseconds, but the machine may be
// busy.
const (
	runWithin = 60 * time.Second
	pollEvery = 10 * time.Millisecond
)

// build compiles the daemon in its own module, with the dependencies of a release.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "imds-ready")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/imds-ready")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building imds-ready: %v\n%s", err, out)
	}
	return binary
}

// simulate serves the default tree on loopback under a schedule of faults.
func simulate(t *testing.T, schedule string) (url string) {
	t.Helper()
	s := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...)
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return url
}

// daemon is one run of imds-ready.
type daemon struct {
	cmd      *exec.Cmd
	dir      string // the directory of the files
	textfile string
	stderr   bytes.Buffer
}

// start runs imds-ready run in the background, with the umask of the unit.
func start(t *testing.T, binary, url, config string, env ...string) *daemon {
	t.Helper()
	return startCommand(t, "run", binary, url, config, env...)
}

// startCommand is start for any command.
func startCommand(t *testing.T, command, binary, url, config string, env ...string) *daemon {
	t.Helper()
	work := t.TempDir()
	d := &daemon{dir: filepath.Join(work, "imds"), textfile: filepath.Join(work, "metrics", "imds_ready.prom")}
	for _, dir := range []string{d.dir, filepath.Dir(d.textfile)} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(work, "config.toml")
	text := fmt.Sprintf("[endpoint]\nurl = %q\n[output]\ntextfile = %q\n%s", url, filepath.Dir(d.textfile), config)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), runWithin)
	t.Cleanup(cancel)
	d.cmd = exec.CommandContext(ctx, "/bin/sh", "-c", `umask 077; exec "$@"`, "sh",
		binary, command, "--config", file, "--directory", d.dir)
	d.cmd.Env = env
	d.cmd.Stderr = &d.stderr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// finish waits for the process and returns its exit code, or 128 plus the number of
// the signal that terminated it.
func (d *daemon) finish(t *testing.T) int {
	t.Helper()
	_ = d.cmd.Wait() // ProcessState has the result
	if ws := d.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return d.cmd.ProcessState.ExitCode()
}

// status reads status.json.
func (d *daemon) status(t *testing.T) snapshot.Status {
	t.Helper()
	st, err := snapshot.ReadStatus(d.dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.stderr.String())
	}
	return st
}

// await polls until the textfile exists.
func (d *daemon) await(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	end := time.After(runWithin)
	for {
		if _, err := os.Stat(d.textfile); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("no %s after %v", d.textfile, runWithin)
		}
	}
}
