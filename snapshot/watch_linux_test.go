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

// waitForChange waits until n reports a change.
func waitForChange(t *testing.T, n *dirWatcher, what string) {
	t.Helper()
	select {
	case <-n.changed:
	case <-time.After(testTimeout):
		t.Fatalf("change not reported: %s", what)
	}
}

// Without polling, inotify alone reports every change that Wait must notice.
func TestWatchDir(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "imds")
	n := watchDir(dir + "/")
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
		n.rearm()
		for len(n.changed) > 0 { // changes of the previous step
			<-n.changed
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		waitForChange(t, n, step.what)
	}
}

// A directory that is created at any moment around rearm is always noticed.
func TestWatchDirMissesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "imds")
	for range 200 {
		n := watchDir(dir)
		var maker sync.WaitGroup
		maker.Go(func() {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Error(err)
			}
		})
		for { // as in Wait, but without polling
			n.rearm()
			if _, err := os.Stat(dir); err == nil {
				break
			}
			waitForChange(t, n, "the directory")
		}
		maker.Wait()
		n.close()
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
}

// If inotify is not available, no change is reported, which is not an error.
func TestWatchDirWithoutInotify(t *testing.T) {
	n := &dirWatcher{changed: make(chan struct{}, 1), target: t.TempDir(), watch: -1, done: make(chan struct{})}
	close(n.done)
	n.rearm()
	n.close()
	if len(n.changed) != 0 || n.watch != -1 {
		t.Errorf("%+v", n)
	}
}

// There is one watch at a time, so that a long wait does not accumulate them.
func TestWatchDirKeepsOneWatch(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "imds")
	n := watchDir(dir)
	defer n.close()
	for range 50 {
		n.rearm()
		above := n.watch
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		n.rearm()
		if n.watch == above {
			t.Fatal("the directory is not watched")
		}
		if _, err := unix.InotifyRmWatch(n.fd, uint32(above)); err == nil {
			t.Fatal("its parent is still watched")
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
}
