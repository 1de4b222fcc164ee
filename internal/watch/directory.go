// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/snapshot"
)

// ErrLocked means that another process watches in the directory.
var ErrLocked = errors.New("another imds-ready watch uses it")

// lockFile is locked by flock(2) while a process watches. It contains the ID of the boot
// whose files are beside it, because status.json is removed on exit.
const lockFile = ".lock"

// directory is the directory of the watched paths, locked for one process.
type directory struct {
	path string // of the directory itself, such as /run/imds/watch
	root *os.Root
	lock *os.File
}

// openDirectory opens and locks the directory of the watched paths in parent, such as
// /run/imds, which must exist and belong to the user of this process. It removes
// everything in it that is not the file of one of the watched paths and of the boot
// bootID.
func openDirectory(parent, bootID string, watched []string) (*directory, error) {
	above, err := os.OpenRoot(parent)
	if err != nil {
		return nil, err
	}
	defer above.Close()
	info, err := above.Stat(".")
	if err != nil {
		return nil, err
	}
	if owner := atomicfile.Owner(info); owner != os.Geteuid() {
		return nil, fmt.Errorf("%s belongs to user %d, and this process runs as user %d", parent, owner, os.Geteuid())
	}
	root, err := ownDirectory(above, snapshot.WatchDir)
	if err != nil {
		return nil, err
	}
	d := &directory{path: filepath.Join(parent, snapshot.WatchDir), root: root}
	if err := d.prepare(bootID, watched); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// ownDirectory opens the directory name in root. If it is missing, it is created with mode
// 0755, regardless of the umask. A link, or a directory of another user, is an error.
func ownDirectory(root *os.Root, name string) (*os.Root, error) {
	if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	there, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	full := filepath.Join(root.Name(), name)
	if !there.IsDir() || atomicfile.Owner(there) != os.Geteuid() {
		return nil, fmt.Errorf("%s is not a directory of user %d: remove it", full, os.Geteuid())
	}
	dir, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	err = func() error {
		self, err := dir.Open(".")
		if err != nil {
			return err
		}
		defer self.Close()
		info, err := self.Stat()
		switch {
		case err != nil:
			return err
		case !os.SameFile(info, there):
			return fmt.Errorf("%s was replaced while it was opened", full)
		case info.Mode().Perm() != 0o755:
			return self.Chmod(0o755)
		}
		return nil
	}()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// prepare locks the directory, removes what does not belong in it, and creates the
// directories of the watched paths, so that path units watch them from the start.
func (d *directory) prepare(bootID string, watched []string) error {
	if err := d.acquire(); err != nil {
		return fmt.Errorf("locking %s: %w", d.path, err)
	}
	var old bytes.Buffer
	if _, err := io.Copy(&old, io.LimitReader(d.lock, 256)); err != nil {
		return err
	}
	files, sameBoot := map[string]bool{lockFile: true}, old.String() == bootID
	if sameBoot {
		for _, name := range watched {
			files[name] = true
		}
	}
	if err := d.clean(".", files); err != nil {
		return err
	}
	if !sameBoot { // on a full file system, the boot ID would be lost, and then the files
		if err := d.lock.Truncate(0); err != nil {
			return err
		}
		if _, err := d.lock.WriteAt([]byte(bootID), 0); err != nil {
			return err
		}
	}
	for _, name := range watched {
		parent, err := d.makeParent(name)
		if err != nil {
			return err
		}
		parent.Close()
	}
	return nil
}

// acquire locks the lock file, which it creates if it is missing. What is not a regular
// file of ours is replaced, because the directory is ours.
func (d *directory) acquire() error {
	info, err := d.root.Lstat(lockFile)
	if err == nil && !(info.Mode().IsRegular() && atomicfile.Owner(info) == os.Geteuid()) {
		err = d.root.RemoveAll(lockFile)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.lock, err = d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := d.lock.Chmod(0o600); err != nil {
		return err
	}
	err = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// clean removes everything in the directory dir that is neither one of the files nor a
// directory above one.
func (d *directory) clean(dir string, files map[string]bool) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case files[name] && e.Type().IsRegular():
		case e.IsDir() && above(name, files):
			err = d.clean(name, files)
		default:
			err = d.root.RemoveAll(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func above(dir string, files map[string]bool) bool {
	for name := range files {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// makeParent opens the directory of a path's file, and creates the directories that are
// missing.
func (d *directory) makeParent(name string) (*os.Root, error) {
	at, err := d.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for segment := range strings.SplitSeq(path.Dir(name), "/") {
		next, err := ownDirectory(at, segment)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// write replaces the file of a path, unless it has this body already, and reports whether
// it did.
func (d *directory) write(name string, body []byte) (changed bool, err error) {
	if d.has(name, body) {
		return false, nil
	}
	parent, err := d.makeParent(name)
	if err != nil {
		return false, err
	}
	defer parent.Close()
	return true, atomicfile.Write(parent, path.Base(name), body, 0o644)
}

// has reports whether the file of a path is public and has this body.
func (d *directory) has(name string, body []byte) bool {
	parent, err := d.root.Open(path.Dir(name))
	if err != nil {
		return false
	}
	defer parent.Close()
	data, info, err := atomicfile.Read(parent, path.Base(name), snapshot.MaxWatched)
	return err == nil && info.Mode() == 0o644 && bytes.Equal(data, body)
}

// remove removes the file of a path if it exists, and reports whether it did.
func (d *directory) remove(name string) (changed bool, err error) {
	err = d.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writeStatus replaces status.json.
func (d *directory) writeStatus(st snapshot.WatchStatus) error {
	data, err := json.MarshalIndent(st.Normal(), "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(d.root, snapshot.StatusFile, append(data, '\n'), 0o644)
}

// inPlace returns an error if the path no longer leads to the directory, because it was
// removed, moved or mounted over. Readers cannot find the files then.
func (d *directory) inPlace() error {
	held, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	there, err := os.Lstat(d.path) // openDirectory would refuse a link
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s was removed", d.path)
	case err != nil:
		return err
	case !os.SameFile(held, there):
		return fmt.Errorf("%s was moved or mounted over", d.path)
	}
	return nil
}

// close releases the directory and its lock, and keeps the files.
func (d *directory) close() error {
	err := d.root.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}
