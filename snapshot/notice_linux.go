// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// notices tells that something has changed in a directory, which may not exist
// yet, by inotify(7). One watch moves along: it hangs on the directory, or, while
// that is missing, on the nearest one above it.
//
// Nobody is told what has changed: who is woken looks for himself. So nothing is
// lost when the kernel's queue is full, and where inotify does not work at all (too
// many watches, a directory that may not be listed) there are just no wake-ups.
type notices struct {
	// changed has one slot: a change while somebody looks is not lost, and a
	// thousand changes are one.
	changed chan struct{}

	target string
	file   *os.File // of inotify; nil: there is none
	fd     int      // the same: File.Fd would make it blocking, and Close wait for ever
	watch  int      // the watch's descriptor; -1: none
	done   chan struct{}
}

// What happens to a directory above: something is made in it or moved to it.
// What happens to the directory itself: a file is renamed in it, as the writer
// does. A file that is only made there is not whole yet.
const (
	watchAbove  = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	watchItself = unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
)

// notice begins to tell of changes in dir, from the first call of aim on.
func notice(dir string) *notices {
	n := &notices{changed: make(chan struct{}, 1), target: filepath.Clean(dir), watch: -1, done: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK) // so that Close ends a Read
	if err != nil {
		close(n.done)
		return n
	}
	n.fd, n.file = fd, os.NewFile(uintptr(fd), "inotify")
	go n.read()
	return n
}

// read passes on that there were events.
func (n *notices) read() {
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

// close ends it; nothing is left behind.
func (n *notices) close() {
	if n.file != nil {
		n.file.Close()
	}
	<-n.done
}

// maxAims bounds the tries to find a directory that comes and goes; the next look
// tries again.
const maxAims = 8

// aim puts the watch where it belongs now. When it returns, what changes from
// then on is told: a directory that is made between the look for it and the watch
// above it is found by the second try, which must come to the same end.
func (n *notices) aim() {
	if n.file == nil {
		return
	}
	at := n.place()
	for range maxAims {
		if at == n.target {
			return
		}
		before := at
		if at = n.place(); at == before {
			return
		}
	}
}

// place watches the target, or what is nearest above it, and returns its path.
func (n *notices) place() string {
	events := uint32(watchItself)
	for path := n.target; ; path = filepath.Dir(path) {
		watch, err := unix.InotifyAddWatch(n.fd, path, events)
		if err == nil {
			n.keep(watch)
			return path
		}
		if !errors.Is(err, unix.ENOENT) || path == filepath.Dir(path) {
			return n.target // not to be watched: the clock remains
		}
		events = watchAbove
	}
}

// keep drops the watch before this one: on a directory above, or on one that was
// moved away. That of a removed one is gone already, which is no matter.
func (n *notices) keep(watch int) {
	if n.watch >= 0 && n.watch != watch {
		_, _ = unix.InotifyRmWatch(n.fd, uint32(n.watch))
	}
	n.watch = watch
}
