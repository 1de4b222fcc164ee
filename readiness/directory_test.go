// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Another daemon holds the directory: 75, it is named, and what it has written
// is not touched, not even by a broken configuration.
func TestDirectoryIsHeld(t *testing.T) {
	for _, reject := range []error{nil, errors.New("a.toml:1: no")} {
		tr := faulty(t, "")
		tr.reject = reject
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
		if last := tr.notes[len(tr.notes)-1].state; !strings.Contains(last, "\nERRNO=110") {
			t.Errorf("the last datagram is %q", last)
		}
		if len(tr.sim.Trace()) != 0 {
			t.Errorf("requests: %v", tr.sim.Trace())
		}
	}
}

// The lock goes with the run: the next one may follow at once.
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

// A directory that cannot be used at all: 77, said in the log and to systemd,
// since there is no place for a status.json.
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
		if last := tr.notes[len(tr.notes)-1].state; !strings.Contains(last, "\nERRNO=13") {
			t.Errorf("the last datagram is %q", last)
		}
		if lines := tr.logged("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "class=cannot-write") || !strings.Contains(lines[0], "hint=") {
			t.Errorf("errors %q, want one of class cannot-write with a hint", lines)
		}
	}
}

// A file that cannot be written: 77, no READY=1, and a status that says so with
// class cannot-write, whenever it shows. A directory stands where each goes.
func TestFileCannotBeWritten(t *testing.T) {
	for _, name := range []string{"identity.json", "imds.env", "tags.json", ".meta-data.json.tmp"} {
		for _, again := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " in a later run"}[again], func(t *testing.T) {
				tr := faulty(t, "")
				if again {
					first := faulty(t, "400").run(t)
					tr.dir = first.dir
				}
				if err := os.MkdirAll(filepath.Join(tr.dir, name, "occupied"), 0o755); err != nil {
					t.Fatal(err)
				}
				tr.run(t)
				if tr.exit != readiness.ExitNoPerm || tr.status.State != snapshot.Failed || tr.lastClass() != "cannot-write" {
					t.Fatalf("exit %d, state %q, class %q\n%s", tr.exit, tr.status.State, tr.lastClass(), tr.log)
				}
				if last := tr.status.LastError; !strings.Contains(last.Message, name) || last.Hint == "" || last.Path != "" {
					t.Errorf("last_error %+v", last)
				}
				if last := tr.notes[len(tr.notes)-1].state; !strings.Contains(last, "\nERRNO=13") {
					t.Errorf("the last datagram is %q", last)
				}
			})
		}
	}
}

// status.json itself: 77, and no READY=1 for a gate that nobody could read.
func TestStatusCannotBeWritten(t *testing.T) {
	tr := faulty(t, "")
	if err := os.MkdirAll(filepath.Join(tr.dir, "status.json", "occupied"), 0o755); err != nil {
		t.Fatal(err)
	}
	if tr.run(t); tr.exit != readiness.ExitNoPerm || len(tr.logged("ERROR")) != 1 {
		t.Errorf("exit %d, errors %q", tr.exit, tr.logged("ERROR"))
	}
}

// A status.json that cannot be written any more when all is done: 77 too.
func TestFinalStatusCannotBeWritten(t *testing.T) {
	tr := faulty(t, "")
	planted := false
	tr.onLog = func(line string) {
		if planted || !strings.Contains(line, "msg=\"writing the files\"") {
			return
		}
		planted = true
		status := filepath.Join(tr.dir, "status.json")
		if err := errors.Join(os.Remove(status), os.MkdirAll(filepath.Join(status, "occupied"), 0o755)); err != nil {
			t.Error(err)
		}
	}
	tr.run(t)
	if !planted || tr.exit != readiness.ExitNoPerm {
		t.Errorf("planted %v, exit %d", planted, tr.exit)
	}
}

// A configuration that cannot be used is reported where everything else is.
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
	if last := next.notes[len(next.notes)-1].state; !strings.Contains(last, "\nERRNO=22") {
		t.Errorf("the last datagram is %q", last)
	}
}
