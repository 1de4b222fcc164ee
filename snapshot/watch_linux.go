// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dirWatcher reports changes in a directory, which need not exist yet, through
// inotify(7). It has one watch at a time: on the directory or, while that is missing, on
// its nearest existing ancestor.
//
// It does not report what has changed, so the receiver must read the directory. Nothing is
// lost if the kernel's queue overflows. If inotify does not work (too many watches, or a
// directory without read permission), no change is reported.
type dirWatcher struct {
	// changed has a buffer of one: a change while the receiver is busy is not lost, and
	// several such changes become one.
	changed chan struct{}

	target string
	file   *os.File // the inotify instance, or nil if inotify is not available
	fd     int      // its descriptor; File.Fd would make it blocking, so that Close waits forever
	watch  int      // the watch descriptor, or -1 if there is no watch
	done   chan struct{}
}

// The events of an ancestor include that something is created in it or moved to it. Those
// of the directory itself include that a file is renamed in it, as the daemon does, but
// not that a file is created, because the file is not complete then.
const (
	watchAbove  = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	watchItself = unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
)

// watchDir returns a watcher that reports the changes in dir after the first call of
// rearm.
func watchDir(dir string) *dirWatcher {
	n := &dirWatcher{changed: make(chan struct{}, 1), target: filepath.Clean(dir), watch: -1, done: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK) // nonblocking, so that Close ends a Read
	if err != nil {
		close(n.done)
		return n
	}
	n.fd, n.file = fd, os.NewFile(uintptr(fd), "inotify")
	go n.read()
	return n
}

// read reports events until the watcher is closed.
func (n *dirWatcher) read() {
	defer close(n.done)
	buf := make([]byte, 4<<10)
	for {
		if _, err := n.file.Read(buf); err != nil {
			return
		}
		select {
		case n.changed <- struct{}{}:
		default:
		}
	}
}

// close ends the watcher and its goroutine.
func (n *dirWatcher) close() {
	if n.file != nil {
		n.file.Close()
	}
	<-n.done
}

// maxRearms limits the attempts to watch a directory that is created and removed again and
// again. The next call of rearm continues.
const maxRearms = 8

// rearm moves the watch to the target or its nearest existing ancestor. All changes after
// it returns are reported: a directory that is created after the lookup that missed it and
// before the watch on its ancestor is found by the second attempt, which must end at the
// same path.
func (n *dirWatcher) rearm() {
	if n.file == nil {
		return
	}
	at := n.addWatch()
	for range maxRearms {
		if at == n.target {
			return
		}
		before := at
		if at = n.addWatch(); at == before {
			return
		}
	}
}

// addWatch watches the target or its nearest existing ancestor, and returns the path.
func (n *dirWatcher) addWatch() string {
	events := uint32(watchItself)
	for path := n.target; ; path = filepath.Dir(path) {
		watch, err := unix.InotifyAddWatch(n.fd, path, events)
		if err == nil {
			n.replaceWatch(watch)
			return path
		}
		if !errors.Is(err, unix.ENOENT) || path == filepath.Dir(path) {
			return n.target // it cannot be watched, so only polling finds changes
		}
		events = watchAbove
	}
}

// replaceWatch removes the previous watch, which is on an ancestor or on a directory that
// was moved away. The kernel has already removed it if the directory was removed, so errors
// are ignored.
func (n *dirWatcher) replaceWatch(watch int) {
	if n.watch >= 0 && n.watch != watch {
		_, _ = unix.InotifyRmWatch(n.fd, uint32(n.watch))
	}
	n.watch = watch
}
