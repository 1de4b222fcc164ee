// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/snapshot"
)

// startUnprivileged is start without the capabilities that let root ignore file
// modes. They are dropped from the bounding set of one thread, which the process
// inherits (capabilities(7)); then the thread ends.
func startUnprivileged(t *testing.T, args ...string) *process {
	t.Helper()
	type result struct {
		p   *process
		err error
	}
	prefix := filepath.Join(t.TempDir(), "out")
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked
		var err error
		for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
			if os.Getuid() == 0 {
				err = errors.Join(err, unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0))
			}
		}
		p, started := start(t.TempDir(), prefix, []string{"GORACE=atexit_sleep_ms=0"}, args)
		done <- result{p, errors.Join(err, started)}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(r.p.stop)
	return r.p
}

// 77, EX_NOPERM: a directory or a file that the user may not read, with a hint.
func TestReadersWithoutPermission(t *testing.T) {
	ready := func(st *snapshot.Status) { st.State, st.PID, st.ExitCode = snapshot.Ready, nil, new(0) }
	for _, tt := range []struct {
		name, shut string // the file of the directory that gets mode 0
		args       []string
		want       string
	}{
		{"wait, the directory", ".", []string{"wait"}, "77"},
		{"get, the directory", ".", []string{"get", "instance-id"}, "77"},
		{"get with a default", ".", []string{"get", "instance-id", "--default", "x"}, "77"},
		{"get --wait", ".", []string{"get", "instance-id", "--wait", "10s"}, "77"},
		{"status", ".", []string{"status"}, "77"},
		{"status --json", ".", []string{"status", "--json"}, "77"},
		{"wait, in a hurry", ".", []string{"wait", "--timeout", "20ms"}, "77"},
		{"wait, the file", "status.json", []string{"wait"}, "77"},
		{"get, the file", "meta-data.json", []string{"get", "instance-id"}, "77"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "imds")
			statusIn(t, dir, ready)
			if err := os.WriteFile(filepath.Join(dir, "meta-data.json"), []byte("{}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			shut := filepath.Join(dir, tt.shut)
			if err := os.Chmod(shut, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(shut, 0o755) })
			p := startUnprivileged(t, append(tt.args, "--directory", dir)...)
			end, log := p.outcome(t)
			if end != tt.want || !strings.Contains(log, "permission denied\nimds-ready: hint: run it as a user who can read "+dir) {
				t.Errorf("it ends with %s:\n%s", end, log)
			}
			if out := readFile(t, p.stdout); out != "" {
				t.Errorf("it prints %q", out)
			}
		})
	}
}

// 75, EX_TEMPFAIL: the gate waits, and meta-data.json is not the one its status lists.
// Neither the value nor the default is printed.
func TestGetOfAReplacedFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imds")
	statusIn(t, dir, func(st *snapshot.Status) {
		st.Generation, st.Files = 1, map[string]*string{"meta-data.json": new(strings.Repeat("0", 64))}
	})
	if err := os.WriteFile(filepath.Join(dir, "meta-data.json"), []byte(`{"instance-id": "i-0"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--default", "x"}} {
		p := startUnprivileged(t, append([]string{"get", "instance-id", "--directory", dir}, more...)...)
		end, log := p.outcome(t)
		want := "imds-ready: reading " + dir + "/meta-data.json: replaced by a run that has no final status yet\n" +
			"imds-ready: hint: `imds-ready wait` waits until the gate is decided, as --wait does for get\n"
		if end != "75" || log != want {
			t.Errorf("it ends with %s:\n%s\nwant 75:\n%s", end, log, want)
		}
		if out := readFile(t, p.stdout); out != "" {
			t.Errorf("it prints %q", out)
		}
	}
}
