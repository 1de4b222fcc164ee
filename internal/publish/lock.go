// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
)

// lockFile is the name of the lock file. Its mode is 0600, because any user who can read a
// file or a directory can also lock it. It is never removed, because another process may
// already have opened it.
//
// A writer holds flock(2) on the file. A gate also holds an open file description lock
// (fcntl(2)) on its first byte, which tells others who the holder is. Both are locks of
// the kernel, and not content: they end with the process in the same moment, and the file
// does not change.
const lockFile = ".lock"

// LockedError means that another process holds the directory.
type LockedError struct {
	Dir string
	// Gate is true if a gate holds the directory, and false if a refresh does.
	Gate bool
	// PID is the process ID of the gate, from its status.json, or 0 if it is unknown.
	PID int
}

func (e *LockedError) Error() string {
	who := "another gate"
	switch {
	case !e.Gate:
		who = "a refresh"
	case e.PID != 0:
		who = "process " + strconv.Itoa(e.PID)
	}
	return "locking " + e.Dir + ": " + who + " holds it"
}

// Lock locks a directory that [Open] has opened, for a refresh. It does not wait: if
// another process holds the directory, the error is a *[LockedError].
func (d *Dir) Lock() error { return d.acquireLock(false) }

// acquireLock locks the lock file of d, for a gate or for a refresh. The kernel releases
// the lock when the process ends for any reason.
func (d *Dir) acquireLock(gate bool) error {
	for range maxTries {
		f, err := d.openLock()
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil {
			return fmt.Errorf("locking %s: %w", d.path, err)
		}
		if gate {
			err = lockByte(f)
		}
		// A file system without such locks must not stop the gate: others then take it for a refresh.
		if !errors.Is(err, unix.EWOULDBLOCK) {
			err = flock(f)
		}
		// A lock on a file that is no longer in the directory does not exclude others.
		opened, openErr := f.Stat()
		there, statErr := d.root.Lstat(lockFile)
		if openErr != nil || statErr != nil || !os.SameFile(opened, there) {
			f.Close()
			continue
		}
		if err == nil {
			d.lock = f
			return nil
		}
		byGate := gateHolds(f)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return &LockedError{Dir: d.path, Gate: byGate, PID: d.holder()}
		}
		return fmt.Errorf("locking %s: %w", filepath.Join(d.path, lockFile), err)
	}
	return fmt.Errorf("locking %s: gave up, because %s was replaced %d times", d.path, lockFile, maxTries)
}

// errAgain means that the lock file was replaced, so that openLock must be called again.
var errAgain = errors.New("try again")

// openLock opens the lock file, and creates it if it is missing. If it is not a regular
// file, or belongs to another user, as after a run as root, openLock removes it if this
// process runs as the owner of the directory or as root.
func (d *Dir) openLock() (*os.File, error) {
	directory, err := d.self.Stat()
	if err != nil {
		return nil, err
	}
	uid, user := atomicfile.Owner(directory), os.Geteuid()
	want := user
	if user == 0 {
		want = uid
	}
	// This does not use d.root, which follows links within the directory.
	fd, err := unix.Openat(int(d.self.Fd()), lockFile, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		f := os.NewFile(uintptr(fd), filepath.Join(d.path, lockFile))
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && atomicfile.Owner(info) == want {
			if info.Mode() != 0o600 {
				err = f.Chmod(0o600)
			}
			if err == nil {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	case errors.Is(err, unix.ENOENT):
		return d.createLock(uid)
	case !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, fs.ErrPermission):
		return nil, &fs.PathError{Op: "open", Path: lockFile, Err: err} // such as too many open files
	}
	if uid != user && user != 0 {
		return nil, fmt.Errorf("%s must belong to user %d, and only user %d, who owns the directory, can replace it", lockFile, user, uid)
	}
	if err := d.root.RemoveAll(lockFile); err != nil {
		return nil, err
	}
	return nil, errAgain
}

// createLock creates the lock file. If this process runs as root, the file is given to the
// owner of the directory, who could not open it otherwise.
func (d *Dir) createLock(uid int) (*os.File, error) {
	f, err := d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, errAgain
	}
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		_ = f.Chown(uid, -1) // this fails without CAP_CHOWN; the owner then replaces the file
	}
	if err := f.Chmod(0o600); err != nil { // the umask may have cleared even these bits
		f.Close()
		return nil, err
	}
	return f, nil
}

// flock locks f, or returns EWOULDBLOCK at once.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// firstByte is the part of the lock file that a gate locks.
func firstByte() *unix.Flock_t {
	return &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Len: 1}
}

// lockByte locks the first byte of f, or returns EWOULDBLOCK at once.
func lockByte(f *os.File) error {
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, firstByte())
		if errors.Is(err, unix.EACCES) {
			return unix.EWOULDBLOCK // the same by POSIX
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// gateHolds reports whether another open file has locked the first byte of f.
func gateHolds(f *os.File) bool {
	lock := firstByte()
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, lock)
	return err == nil && lock.Type != unix.F_UNLCK
}

// holder returns the PID in status.json, or 0 if it is unknown.
func (d *Dir) holder() int {
	st, err := d.Status()
	if err != nil || st.PID == nil {
		return 0
	}
	return *st.PID
}
