// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFile is the name of the lock. Every local user can lock a directory or a file
// that he can read, so it is a file with mode 0600. It is never unlinked at exit:
// another process may already wait at the same inode.
const lockFile = ".lock"

// LockedError means that another daemon holds the directory.
type LockedError struct {
	Dir string
	// PID is the other daemon's, from its status.json, or 0 if it is unknown.
	PID int
}

func (e *LockedError) Error() string {
	who := "another daemon"
	if e.PID != 0 {
		who = "process " + strconv.Itoa(e.PID)
	}
	return "locking " + e.Dir + ": " + who + " holds it"
}

// takeLock locks the lock file of d. The kernel releases it when the process ends in
// any way.
func (d *Dir) takeLock() error {
	for range maxTries {
		f, err := d.openLock()
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil {
			return fmt.Errorf("locking %s: %w", d.path, err)
		}
		err = flock(f)
		// The lock of a file that was unlinked meanwhile is worth nothing.
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
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return &LockedError{Dir: d.path, PID: d.holder()}
		}
		return fmt.Errorf("locking %s: %w", filepath.Join(d.path, lockFile), err)
	}
	return fmt.Errorf("locking %s: %s is replaced again and again", d.path, lockFile)
}

// errAgain means that the lock file has changed under openLock.
var errAgain = errors.New("try again")

// openLock opens the lock file, and makes it if there is none. If something else is
// in its place, or a file of another user, as after a run as root, the owner of the
// directory removes it.
func (d *Dir) openLock() (*os.File, error) {
	directory, err := d.self.Stat()
	if err != nil {
		return nil, err
	}
	owner, user := uid(directory), os.Geteuid()
	want := user
	if user == 0 {
		want = owner
	}
	// Not by d.root, which follows a link that stays inside the directory.
	fd, err := unix.Openat(int(d.self.Fd()), lockFile, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		f := os.NewFile(uintptr(fd), filepath.Join(d.path, lockFile))
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && uid(info) == want {
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
		return d.makeLock(owner)
	case !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, fs.ErrPermission):
		return nil, &fs.PathError{Op: "open", Path: lockFile, Err: err} // such as too many open files
	}
	if owner != user && user != 0 {
		return nil, fmt.Errorf("%s is not a file of user %d, and the directory belongs to user %d", lockFile, user, owner)
	}
	if err := d.root.RemoveAll(lockFile); err != nil {
		return nil, err
	}
	return nil, errAgain
}

// makeLock makes the lock file. If root runs, it gives it to the owner of the
// directory, who could not open it otherwise.
func (d *Dir) makeLock(owner int) (*os.File, error) {
	f, err := d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, errAgain
	}
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		_ = f.Chown(owner, -1) // without the capability to do so, the owner replaces the file
	}
	if err := f.Chmod(0o600); err != nil { // the umask may take even the owner's bits away
		f.Close()
		return nil, err
	}
	return f, nil
}

// uid is the owner of a file.
func uid(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
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

// holder is the process that the status names, or 0.
func (d *Dir) holder() int {
	st, err := d.Status()
	if err != nil || st.PID == nil {
		return 0
	}
	return *st.PID
}
