// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// If another daemon uses the directory, the exit code is 75, the error names its
// process, its files are not changed, even if the configuration is invalid, and no metrics
// are written.
func TestDirectoryIsHeld(t *testing.T) {
	for _, reject := range []error{nil, errors.New("a.toml:1: no")} {
		tr := faulty(t, "")
		tr.reject = reject
		metrics := tr.withMetrics(t)
		first, err := publish.OpenDir(tr.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		pid, now := 4242, time.Now()
		st := snapshot.Status{State: snapshot.Waiting, BootID: "another boot's", PID: &pid, StartedAt: &now, Version: "0"}
		if err := first.WriteStatus(st); err != nil {
			t.Fatal(err)
		}
		before := tr.file(t, "status.json")
		tr.run(t)
		if tr.exit != readiness.ExitTempFail || tr.file(t, "status.json") != before || len(tr.names(t)) != 1 {
			t.Errorf("exit %d, files %q", tr.exit, tr.names(t))
		}
		if lines := tr.logged("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "process 4242") || !strings.Contains(lines[0], "hint=") {
			t.Errorf("errors %q", lines)
		}
		if len(tr.sim.Trace()) != 0 || !strings.Contains(metrics(), "no such file") {
			t.Errorf("requests %v, metrics:\n%s", tr.sim.Trace(), metrics())
		}
	}
}

// A gate gives up on another gate after 2 s, and waits for a refresh as long as it may, also
// if that refresh is stopped. systemd is told meanwhile.
func TestDirectoryIsHeldBy(t *testing.T) {
	for _, tt := range []struct {
		name     string
		gate     bool
		deadline time.Duration
		released time.Duration // 0: never
		signal   time.Duration // 0: none
		want     readiness.Exit
		elapsed  time.Duration
		told     int
	}{
		{"another gate", true, time.Minute, 0, 0, readiness.ExitTempFail, 2 * time.Second, 1},
		{"a gate that ends", true, time.Minute, time.Second, 0, readiness.ExitOK, time.Second, 1},
		{"a refresh that ends", false, time.Minute, 25 * time.Second, 0, readiness.ExitOK, 25 * time.Second, 3},
		{"a refresh that is stopped", false, time.Minute, 0, 0, readiness.ExitTempFail, time.Minute, 6},
		{"a refresh, without a deadline", false, 0, 10 * time.Minute, 0, readiness.ExitOK, 10 * time.Minute, 60},
		{"a refresh, and then a signal", false, time.Minute, 0, 5 * time.Second, 143, 5 * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := faulty(t, "").limits(0, tt.deadline)
				if tt.signal > 0 {
					tr.signal(tt.signal, syscall.SIGTERM)
				}
				other, err := publish.OpenDir(tr.dir)
				if err == nil && !tt.gate {
					other.Close()
					if other, err = publish.Open(tr.dir); err == nil {
						err = other.Lock()
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				if tt.released > 0 {
					time.AfterFunc(tt.released-time.Millisecond, func() { other.Close() })
				} else {
					defer other.Close()
				}
				tr.runInBubble(t)
				told := 0
				for _, n := range tr.datagrams {
					if strings.HasPrefix(n.state, "STATUS=waiting: locking ") {
						told++
					}
				}
				if tr.exit != tt.want || tr.elapsed.Round(time.Second) != tt.elapsed || told != tt.told {
					t.Errorf("exit %d after %v, told %d times, want %d after %v, %d times\n%s", tr.exit, tr.elapsed, told, tt.want, tt.elapsed, tt.told, tr.log)
				}
				for _, v := range tr.violations {
					if tt.want != 143 { // status.json is not ours
						t.Error(v)
					}
				}
			})
		})
	}
}

// The lock is released at the end of a run.
func TestDirectoryIsFreeAgain(t *testing.T) {
	for _, schedule := range []string{"", "400"} {
		first := faulty(t, schedule).run(t)
		next := faulty(t, "")
		next.dir = first.dir
		if next.run(t); next.exit != readiness.ExitOK {
			t.Errorf("exit %d after %d", next.exit, first.exit)
		}
	}
}

// If the directory cannot be used, the exit code is 77. The log and systemd get the
// reason, because status.json cannot be written.
func TestDirectoryCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		tr := faulty(t, "")
		tr.dir = dir
		tr.run(t)
		if tr.exit != readiness.ExitNoPerm || len(tr.sim.Trace()) != 0 {
			t.Errorf("%s: exit %d, requests %v", dir, tr.exit, tr.sim.Trace())
		}
		if lines := tr.logged("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "class=cannot-write") || !strings.Contains(lines[0], "hint=") {
			t.Errorf("errors %q, want one of class cannot-write with a hint", lines)
		}
	}
}

// If a file cannot be written, the exit code is 77, and the class in status.json is
// cannot-write.
func TestFileCannotBeWritten(t *testing.T) {
	for _, name := range []string{"identity.json", "imds.env", "tags.json", ".meta-data.json.tmp"} {
		for _, again := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " in a later run"}[again], func(t *testing.T) {
				tr := faulty(t, "")
				if again {
					first := faulty(t, "400").run(t)
					tr.dir = first.dir
				}
				occupy(tr.dir, name)
				tr.run(t)
				if tr.exit != readiness.ExitNoPerm || tr.status.State != snapshot.Failed || tr.lastClass() != "cannot-write" {
					t.Fatalf("exit %d, state %q, class %q\n%s", tr.exit, tr.status.State, tr.lastClass(), tr.log)
				}
				if last := tr.status.LastError; !strings.Contains(last.Message, name) || last.Hint == "" || last.Path != "" {
					t.Errorf("last_error %+v", last)
				}
			})
		}
	}
}

// If status.json cannot be written, the exit code is 77.
func TestStatusCannotBeWritten(t *testing.T) {
	tr := faulty(t, "")
	occupy(tr.dir, "status.json")
	if tr.run(t); tr.exit != readiness.ExitNoPerm || len(tr.logged("ERROR")) != 1 {
		t.Errorf("exit %d, errors %q", tr.exit, tr.logged("ERROR"))
	}
}

// The same applies to the final status.json.
func TestFinalStatusCannotBeWritten(t *testing.T) {
	tr := faulty(t, "")
	replaced := false
	tr.onLog = func(line string) {
		if replaced || !strings.Contains(line, "msg=\"writing the files\"") {
			return
		}
		replaced = true
		if err := os.Remove(filepath.Join(tr.dir, "status.json")); err != nil {
			t.Error(err)
		}
		occupy(tr.dir, "status.json")
	}
	tr.run(t)
	if !replaced || tr.exit != readiness.ExitNoPerm {
		t.Errorf("replaced %v, exit %d", replaced, tr.exit)
	}
}

// An invalid configuration is reported in status.json, in the log and to systemd.
func TestReject(t *testing.T) {
	tr := faulty(t, "").run(t) // an earlier run of this boot
	files := tr.status.Files
	next := faulty(t, "")
	next.dir, next.reject = tr.dir, errors.New("a.toml:3: retry.deadline = 5: no unit\nb.toml:1: unknown key")
	next.run(t)
	if next.exit != readiness.ExitConfig || next.status.State != snapshot.Failed || next.lastClass() != "invalid-config" {
		t.Errorf("exit %d, state %q, class %q", next.exit, next.status.State, next.lastClass())
	}
	if last := next.status.LastError; last.Path != "" || last.Hint == "" || !strings.Contains(last.Message, "b.toml:1: unknown key") {
		t.Errorf("last_error %+v", last)
	}
	if len(next.sim.Trace()) != 0 || len(next.status.Files) != len(files) || next.status.Generation != 1 {
		t.Errorf("requests %v, files %v, generation %d", next.sim.Trace(), next.status.Files, next.status.Generation)
	}
}

// If the directory is moved or replaced during the wait, the exit code is 77 and READY=1
// is not sent, because readers would not find the files.
func TestDirectoryIsMoved(t *testing.T) {
	for _, replace := range []bool{false, true} {
		tr := faulty(t, "")
		dir := tr.dir
		tr.onLog = func(line string) {
			if !strings.Contains(line, "waiting for IMDS") {
				return
			}
			tr.dir += ".old" // the status is read there
			err := os.Rename(dir, tr.dir)
			if replace {
				err = errors.Join(err, os.Mkdir(dir, 0o755))
			}
			if err != nil {
				t.Error(err)
			}
		}
		tr.run(t)
		if tr.exit != readiness.ExitNoPerm || tr.lastClass() != "cannot-write" || !strings.Contains(tr.status.LastError.Message, dir+":") {
			t.Errorf("exit %d, last error %+v", tr.exit, tr.status.LastError)
		}
		for _, n := range tr.datagrams {
			if strings.Contains(n.state, "READY=1") {
				t.Errorf("replaced: %t: %q", replace, n.state)
			}
		}
	}
}
