// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

// flock belongs to the open file, so two in one process are like two daemons.
func TestLock(t *testing.T) {
	tests := []struct {
		name   string
		status *snapshot.Status
		text   string
		pid    int
		want   string
	}{
		{name: "no status yet", want: "another daemon holds it"},
		{name: "a final status", status: &snapshot.Status{State: snapshot.Ready, BootID: "b"}, want: "another daemon holds it"},
		{name: "not our status", text: "{}", want: "another daemon holds it"},
		{name: "waiting", status: &snapshot.Status{State: snapshot.Waiting, BootID: "b", PID: new(4711)}, pid: 4711, want: "process 4711 holds it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := open(t)
			if tt.text != "" {
				put(t, filepath.Join(first.path, snapshot.StatusFile), tt.text)
			}
			if tt.status != nil {
				if err := first.WriteStatus(*tt.status); err != nil {
					t.Fatal(err)
				}
			}
			before := entries(t, first.path)
			second, err := OpenDir(first.path)
			locked, isLocked := errors.AsType[*LockedError](err)
			if second != nil || !isLocked {
				t.Fatalf("the second: %v, %v", second, err)
			}
			if locked.Dir != first.path || locked.PID != tt.pid {
				t.Errorf("%+v, want PID %d", locked, tt.pid)
			}
			if want := "locking " + first.path + ": " + tt.want; err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
			if after := entries(t, first.path); after != before {
				t.Errorf("the second left %s, before it was %s", after, before)
			}
			first.Close()
			third, err := OpenDir(first.path)
			if err != nil {
				t.Fatalf("after the first has gone: %v", err)
			}
			third.Close()
		})
	}
}

// The lock is the directory's, however it is reached.
func TestLockThroughALink(t *testing.T) {
	d := open(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(d.path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(link); !isLocked(err) {
		t.Errorf("through a link: %v", err)
	}
	t.Chdir(filepath.Dir(d.path))
	if _, err := OpenDir("imds"); !isLocked(err) {
		t.Errorf("by a relative path: %v", err)
	}
}

func isLocked(err error) bool {
	_, ok := errors.AsType[*LockedError](err)
	return ok
}

func TestOpenDirFails(t *testing.T) {
	base := t.TempDir()
	put(t, filepath.Join(base, "file"), "x")
	for _, tt := range []struct{ name, path, want string }{
		{"a file", filepath.Join(base, "file"), "not a directory"},
		{"below a file", filepath.Join(base, "file", "x"), "not a directory"},
		{"a name that is too long", filepath.Join(base, strings.Repeat("x", 300)), "file name too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := OpenDir(tt.path)
			if d != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
				t.Errorf("%v %v, want %q", d, err, tt.want)
			}
		})
	}
}

// What is there keeps its mode.
func TestOpenDirLeavesModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("mode %v %v, want 0750", info.Mode(), err)
	}
}

// A directory that was replaced while it was locked would be locked in vain.
func TestInPlace(t *testing.T) {
	d := open(t)
	if !d.inPlace() {
		t.Error("just opened, and not in place")
	}
	if err := os.Rename(d.path, d.path+".old"); err != nil {
		t.Fatal(err)
	}
	if d.inPlace() {
		t.Error("moved away, and in place")
	}
	if err := os.Mkdir(d.path, 0o755); err != nil {
		t.Fatal(err)
	}
	if d.inPlace() {
		t.Error("replaced, and in place")
	}
	other, err := OpenDir(d.path)
	if err != nil {
		t.Fatalf("the one that is there now: %v", err)
	}
	other.Close()
}
