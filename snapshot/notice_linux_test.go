// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// told waits until n tells of a change.
func told(t *testing.T, n *notices, what string) {
	t.Helper()
	select {
	case <-n.changed:
	case <-time.After(patience):
		t.Fatalf("nobody tells of this: %s", what)
	}
}

// Without a clock: inotify alone tells of everything that Wait must know.
func TestNotices(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "imds")
	n := notice(dir + "/")
	defer n.close()
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a directory far above", func() error { return os.Mkdir(filepath.Join(root, "a"), 0o755) }},
		{"its child", func() error { return os.Mkdir(filepath.Join(root, "a", "b"), 0o755) }},
		{"the directory", func() error { return os.Mkdir(dir, 0o755) }},
		{"a file that is renamed", func() error {
			put(t, filepath.Join(dir, "x"), "")
			return os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, StatusFile))
		}},
		{"a file that is removed", func() error { return os.Remove(filepath.Join(dir, StatusFile)) }},
		{"the mode of the directory", func() error { return os.Chmod(dir, 0o700) }},
		{"the directory removed", func() error { return os.Remove(dir) }},
		{"made again", func() error { return os.Mkdir(dir, 0o755) }},
		{"moved away", func() error { return os.Rename(dir, dir+"2") }},
		{"moved back", func() error { return os.Rename(dir+"2", dir) }},
		{"all of it removed", func() error { return os.RemoveAll(filepath.Join(root, "a")) }},
		{"all of it made", func() error { return os.MkdirAll(dir, 0o755) }},
	} {
		n.aim()
		for len(n.changed) > 0 { // of the step before
			<-n.changed
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		told(t, n, step.what)
	}
}

// A directory that comes and goes as fast as it can: after aim, a change that
// leaves it there is always told.
func TestNoticesMissNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "imds")
	for range 200 {
		n := notice(dir)
		var maker sync.WaitGroup
		maker.Go(func() {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Error(err)
			}
		})
		for { // as Wait does, less the clock
			n.aim()
			if _, err := os.Stat(dir); err == nil {
				break
			}
			told(t, n, "the directory")
		}
		maker.Wait()
		n.close()
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
}

// Where inotify is not to be had, there are no wake-ups and no error.
func TestNoticesWithoutInotify(t *testing.T) {
	n := &notices{changed: make(chan struct{}, 1), target: t.TempDir(), watch: -1, done: make(chan struct{})}
	close(n.done)
	n.aim()
	n.close()
	if len(n.changed) != 0 || n.watch != -1 {
		t.Errorf("%+v", n)
	}
}

// One watch moves along: a wait of a week does not pile them up.
func TestNoticesKeepOneWatch(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "imds")
	n := notice(dir)
	defer n.close()
	for range 50 {
		n.aim()
		above := n.watch
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		n.aim()
		if n.watch == above {
			t.Fatal("the directory is not watched")
		}
		if _, err := unix.InotifyRmWatch(n.fd, uint32(above)); err == nil {
			t.Fatal("the one above it is still watched")
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
}
