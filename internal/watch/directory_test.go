// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/internal/watch"
)

// tree lists everything in a directory, except lock files, with a final slash for
// directories.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		switch name, _ = filepath.Rel(dir, name); {
		case err != nil:
			return err
		case e.IsDir():
			names = append(names, name+"/")
		case e.Name() != ".lock":
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// plant writes a file, or makes a directory if the name ends in a slash.
func plant(t *testing.T, dir, name, body string) {
	t.Helper()
	name, isDir := filepath.Join(dir, name), strings.HasSuffix(name, "/")
	parent := name
	if !isDir {
		parent = filepath.Dir(name)
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	if !isDir {
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// At the start, files of paths that are no longer watched, or of another boot, are
// removed, and whatever else is in the directory. Files of this boot stay, even while IMDS
// does not answer.
func TestStartCleansUp(t *testing.T) {
	for _, tt := range []struct {
		name, boot string
		stays      bool
	}{
		{"this boot", bootID, true},
		{"another boot", "99999999-2222-3333-4444-555555555555", false},
		{"an unknown boot", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, "unreachable")
			dir := filepath.Join(tr.Dir, "watch")
			plant(t, dir, ".lock", tt.boot)
			plant(t, dir, "status.json", "{}")
			plant(t, dir, state, "Pending")
			plant(t, dir, "meta-data/autoscaling/.target-lifecycle-state.tmp", "half")
			plant(t, dir, spot+"/planted", "below a path")
			plant(t, dir, "meta-data/placement/region", "no longer watched")
			plant(t, dir, "dynamic/", "")
			if err := os.Symlink("/etc", filepath.Join(dir, "meta-data/events")); err != nil {
				t.Fatal(err)
			}
			tr.run(t, func(t *testing.T) {
				tr.until(time.Minute)
				if body, exists := tr.file(t, state); exists != tt.stays || exists && body != "Pending" {
					t.Errorf("%q, exists %v", body, exists)
				}
				if st := tr.status(t, state); st.Present != tt.stays || st.LastAnswerAt != nil || (st.ChangedAt != nil) != tt.stays {
					t.Errorf("%+v", st)
				}
			})
			want := []string{"./", "meta-data/", "meta-data/autoscaling/", state, "meta-data/spot/"}
			if !tt.stays {
				want = slices.Delete(want, 3, 4)
			}
			if got := tree(t, dir); !slices.Equal(got, want) {
				t.Errorf("%q remain, want %q", got, want)
			}
			if _, err := os.Stat("/etc/passwd"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A directory of another user, a link, and a second process are refused before anything
// is written or requested.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		prepare    func(t *testing.T, tr *trial)
	}{
		{"no directory", "no such file", func(_ *testing.T, tr *trial) { tr.Dir += "/none" }},
		{"another user's directory", "belongs to user", func(t *testing.T, tr *trial) {
			if os.Geteuid() != 0 {
				tr.Dir = "/proc" // in which nothing can be made, if it should belong to this user
			} else if err := os.Chown(tr.Dir, 12345, -1); err != nil {
				t.Fatal(err)
			}
		}},
		{"a link", "watch is not a directory of user", func(t *testing.T, tr *trial) {
			if err := os.Symlink(t.TempDir(), filepath.Join(tr.Dir, "watch")); err != nil {
				t.Fatal(err)
			}
		}},
		{"a link within the directory", "watch is not a directory of user", func(t *testing.T, tr *trial) {
			plant(t, tr.Dir, "other/", "")
			if err := os.Symlink("other", filepath.Join(tr.Dir, "watch")); err != nil {
				t.Fatal(err)
			}
		}},
		{"a file", "watch is not a directory of user", func(t *testing.T, tr *trial) { plant(t, tr.Dir, "watch", "") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, "ok")
			defer tr.sim.Close()
			tt.prepare(t, tr)
			var before []string
			if tr.Dir != "/proc" && !strings.HasSuffix(tr.Dir, "/none") {
				before = tree(t, tr.Dir)
			}
			err := tr.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if before != nil && !slices.Equal(tree(t, tr.Dir), before) {
				t.Errorf("%q, before %q", tree(t, tr.Dir), before)
			}
			if n := len(tr.sim.Trace()); n > 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Two processes do not watch in one directory.
func TestLocked(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.run(t, func(t *testing.T) {
		tr.until(time.Second)
		second := *tr.Watcher
		if err := second.Run(context.Background()); !errors.Is(err, watch.ErrLocked) {
			t.Errorf("%v", err)
		}
		tr.status(t, state) // it is still that of the first
	})
}

// The lock is written only if it is that of another boot, so that a restart on a full file
// system does not empty it.
func TestLockIsKept(t *testing.T) {
	for boot, kept := range map[string]bool{bootID: true, bootID + "x": false, "": false} {
		t.Run(boot, func(t *testing.T) {
			tr := newTrial(t, "ok")
			lock := filepath.Join(tr.Dir, "watch", ".lock")
			plant(t, tr.Dir, "watch/.lock", boot)
			old := time.Now().Add(-time.Hour).Truncate(time.Second)
			if err := os.Chtimes(lock, old, old); err != nil {
				t.Fatal(err)
			}
			tr.run(t, func(t *testing.T) { tr.until(time.Second) })
			info, err := os.Stat(lock)
			body, readErr := os.ReadFile(lock)
			if err := errors.Join(err, readErr); err != nil || info.ModTime().Equal(old) != kept || string(body) != bootID {
				t.Errorf("%q, written at %v, %v", body, info.ModTime(), err)
			}
		})
	}
}

// A lock that is not a regular file is replaced, and what it points to is left alone.
func TestPlantedLock(t *testing.T) {
	for name, target := range map[string]string{"a link": "../other", "a dangling link": "../none"} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(t, "ok")
			plant(t, tr.Dir, "other", "old")
			plant(t, tr.Dir, "watch/", "")
			lock := filepath.Join(tr.Dir, "watch/.lock")
			if err := os.Symlink(target, lock); err != nil {
				t.Fatal(err)
			}
			tr.run(t, func(t *testing.T) {
				tr.until(time.Second)
				tr.status(t, state)
			})
			info, err := os.Lstat(lock)
			other, otherErr := os.ReadFile(filepath.Join(tr.Dir, "other"))
			if err := errors.Join(err, otherErr); err != nil || info.Mode() != 0o600 || string(other) != "old" {
				t.Errorf("mode %v, other %q, %v", info.Mode(), other, err)
			}
		})
	}
}
