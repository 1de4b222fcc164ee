// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Dir is the directory of the files, locked for one writer. Its methods may be
// called by several goroutines at once.
type Dir struct {
	path string
	root *os.Root
	self *os.File   // the directory itself: the lock hangs on it
	mu   sync.Mutex // one write at a time: the names of temporaries are fixed
}

// LockedError says that another daemon holds the directory; [errors.As] finds it.
type LockedError struct {
	// Dir is the directory.
	Dir string
	// PID is the other daemon's, from its status.json; 0: not known.
	PID int
}

// Error implements error.
func (e *LockedError) Error() string {
	who := "another daemon"
	if e.PID != 0 {
		who = "process " + strconv.Itoa(e.PID)
	}
	return "locking " + e.Dir + ": " + who + " holds it"
}

// OpenDir opens the directory at path, and makes it if it is missing, with its
// parents, mode 0755 whatever the umask. It takes flock(2) on the directory
// itself, so there is no lock file to be left behind, and the kernel lets go of
// it when the process ends in any way. Where another holds it, the error is a
// *[LockedError].
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the directory: %w", err)
	}
	// A directory that is removed between open and flock would be locked in
	// vain: then once more, with the one that is there now.
	for range 3 {
		d, err := openDir(path)
		if err != nil {
			return nil, err
		}
		if d.inPlace() {
			return d, nil
		}
		d.Close()
	}
	return nil, fmt.Errorf("locking %s: removed or replaced again and again", path)
}

// openDir is one try of OpenDir.
func openDir(path string) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("making %s: %w", path, err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	self, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	d := &Dir{path: path, root: root, self: self}
	if err := flock(self); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = &LockedError{Dir: path, PID: d.holder()}
		} else {
			err = fmt.Errorf("locking %s: %w", path, err)
		}
		d.Close()
		return nil, err
	}
	return d, nil
}

// flock locks f, or says EWOULDBLOCK at once.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// holder is the process that the status names, or 0.
func (d *Dir) holder() int {
	st, err := d.Status()
	if err != nil || st.PID == nil {
		return 0
	}
	return *st.PID
}

// inPlace reports whether the path still leads to the directory that is locked.
func (d *Dir) inPlace() bool {
	locked, err := d.self.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(d.path)
	return err == nil && os.SameFile(locked, there)
}

// makeDir makes the directory at path and its parents. What it makes is 0755,
// also under umask 077, which daemons inherit from hardened shells; what is there
// stays as it is.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := makeDir(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // opening it will tell if it is not a directory
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// Close gives the directory and its lock back. The files stay.
func (d *Dir) Close() error {
	return errors.Join(d.self.Close(), d.root.Close())
}
