// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// temporary is the name beside name under which a file is written. It is fixed,
// as the lock keeps other writers out: at most one is left by a killed daemon.
func temporary(name string) string { return "." + name + ".tmp" }

// Write puts f in the place of name, one of the names of this package, and
// reports whether that changed anything: a file that has this content and this
// mode already is left alone. On an error the old file is as it was, and no
// temporary is left.
//
// The new file is openat(O_CREAT|O_EXCL|O_NOFOLLOW), fchmod, write, close, and
// then renameat: this one call is what a reader sees, before it the whole old
// file and after it the whole new one. O_EXCL never opens what somebody else has
// put there, and renameat replaces a link, not what it points to. There is no
// fsync, as /run is memory, and after a crash the next boot clears everything.
func (d *Dir) Write(name string, f File) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write(name, f)
}

// write is Write for those who hold d.mu.
func (d *Dir) write(name string, f File) (changed bool, err error) {
	if name != StatusFile && !slices.Contains(order(), name) {
		return false, fmt.Errorf("writing %q: not a file of this directory", name)
	}
	if d.has(name, f) {
		return false, nil
	}
	if err := d.replace(name, f); err != nil {
		return false, fmt.Errorf("writing %s: %w", filepath.Join(d.path, name), err)
	}
	return true, nil
}

// has reports whether name is a regular file of f's content and mode.
func (d *Dir) has(name string, f File) bool {
	data, info, err := readRegular(d.self, name)
	return err == nil && info.Mode() == f.Mode() && bytes.Equal(data, f.Data)
}

// replace writes the temporary and renames it.
func (d *Dir) replace(name string, f File) error {
	tmp := temporary(name)
	out, err := d.create(tmp)
	if errors.Is(err, fs.ErrExist) {
		// Begin has removed ours, so this one was put there since. Out of the way
		// with it, once.
		if err := d.root.Remove(tmp); err != nil {
			return err
		}
		out, err = d.create(tmp)
	}
	if err != nil {
		return err
	}
	err = fill(out, f)
	if err == nil {
		err = d.root.Rename(tmp, name)
	}
	if err == nil {
		return nil
	}
	if left := d.remove(tmp); left != nil {
		return fmt.Errorf("%w; then %w", err, left)
	}
	return err
}

// create makes a new, empty file. 0600 until the mode is set: a secret is never
// readable to others, not for a moment.
func (d *Dir) create(name string) (*os.File, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
}

// fill writes f and closes out. fchmod, as the umask has no say in the mode.
func fill(out *os.File, f File) error {
	err := out.Chmod(f.Mode())
	if err == nil {
		_, err = out.Write(f.Data)
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}
