// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Dir is the directory of the files, locked for one writer, or opened by [Open]. It is safe
// for concurrent use.
type Dir struct {
	path string
	root *os.Root
	self *os.File   // the directory itself
	lock *os.File   // the lock file, or nil before it is locked
	mu   sync.Mutex // serializes writes, because the names of temporary files are fixed

	published atomic.Bool // whether imds.env may contain the state of this run
}

// maxTries is how often OpenDir tries again because the directory or its lock file was
// replaced.
const maxTries = 10

// OpenDir opens and locks the directory at path, for a gate. If the directory or its
// parents are missing, it creates them with mode 0755, regardless of the umask. The lock is
// flock(2) on the file .lock in the directory. OpenDir does not wait for it: if another
// process holds it, the error is a *[LockedError].
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the directory: %w", err)
	}
	for range maxTries {
		d, err := openDir(path)
		if err != nil {
			return nil, err
		}
		if d.InPlace() == nil {
			return d, nil
		}
		d.Close()
	}
	return nil, fmt.Errorf("locking %s: gave up, because the directory was removed or replaced %d times", path, maxTries)
}

// openDir is one attempt of OpenDir.
func openDir(path string) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("making %s: %w", path, err)
	}
	d, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err := d.acquireLock(true); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Open opens the directory at path, which must exist, without a lock, for a refresh.
// [Dir.Lock] must be called before any method that writes.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the directory: %w", err)
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
	return &Dir{path: path, root: root, self: self}, nil
}

// Owner returns the user who owns the directory.
func (d *Dir) Owner() (uid int, err error) {
	info, err := d.self.Stat()
	if err != nil {
		return -1, fmt.Errorf("checking %s: %w", d.path, err)
	}
	return atomicfile.Owner(info), nil
}

// InPlace returns an error if the path no longer leads to the locked directory, because it
// was moved, removed or mounted over. Readers cannot find the files then.
func (d *Dir) InPlace() error {
	held, err := d.self.Stat()
	if err != nil {
		return fmt.Errorf("checking %s: %w", d.path, err)
	}
	there, err := os.Stat(d.path)
	if err != nil {
		return fmt.Errorf("checking %s: %w", d.path, err)
	}
	if !os.SameFile(held, there) {
		return fmt.Errorf("checking %s: the directory was moved or mounted over after this process opened it", d.path)
	}
	return nil
}

// makeDir creates the directory at path and its parents if they are missing. New
// directories get mode 0755 regardless of the umask, which is 077 in hardened shells.
// Existing directories keep their mode.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := makeDir(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // opening it fails if it is not a directory
	}
	if err != nil {
		return err
	}
	// Change the mode by descriptor, because the path may lead elsewhere by now.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o755), f.Close())
}

// Close releases the directory and its lock. The files are kept.
func (d *Dir) Close() error {
	err := errors.Join(d.self.Close(), d.root.Close())
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// Begin must be called before any other method that reads or writes files. It removes the
// temporary files of a killed daemon. If status.json was written in the boot bootID, Begin
// returns it and keeps all files. Otherwise, or if status.json is missing or invalid, it
// removes the files of this program, but nothing else in the directory, and returns the
// zero Status. An empty bootID never matches.
func (d *Dir) Begin(bootID string) (snapshot.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Remove the status first: if this process is killed before it has removed the other
	// files, the next start finds no status and removes them.
	names := append([]string{snapshot.StatusFile}, order()...)
	var temporary []string
	for _, name := range names {
		temporary = append(temporary, atomicfile.Temporary(name))
	}
	if _, err := d.removeAll(temporary); err != nil {
		return snapshot.Status{}, err
	}
	st, err := d.Status()
	if err == nil && st.BootID == bootID { // a status without a boot ID is an error
		return d.removeUnlisted(st)
	}
	_, err = d.removeAll(names)
	return snapshot.Status{}, err
}

// removeUnlisted removes the files that st does not list with their digest. A daemon
// replaced them and was killed before it wrote a status; their values would be newer
// than those of the other files. The caller holds d.mu.
func (d *Dir) removeUnlisted(st snapshot.Status) (snapshot.Status, error) {
	st.Files = maps.Clone(st.Files)
	for _, name := range []string{snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.TagsFile, snapshot.IdentityFile} {
		if _, listed := d.readListed(st, name); listed {
			continue
		}
		if err := d.remove(name); err != nil {
			return snapshot.Status{}, err
		}
		delete(st.Files, name)
	}
	return st, nil
}

// readListed reads a file, and reports whether it is the one that st lists: it has the
// digest, or it is secret, which has none.
func (d *Dir) readListed(st snapshot.Status, name string) (data []byte, listed bool) {
	want, listed := st.Files[name]
	if !listed {
		return nil, false
	}
	data, info, err := atomicfile.Read(d.self, name, snapshot.MaxFile)
	switch {
	case err != nil:
		return nil, false
	case want == nil:
		return data, isSecret(name) && info.Mode().Perm() == 0o600
	default:
		return data, *want == *(File{Data: data}).Sum()
	}
}

// Previous reads the content of the files for [Build]. st is their status, as returned by
// [Dir.Begin] or [Dir.Status]. A file counts as absent if it cannot be read, is not listed in st, or does
// not have the digest in st. That is also the case after a refresh that was killed before it
// wrote the status: its file cannot be told from one that something else has changed.
func (d *Dir) Previous(st snapshot.Status) *Previous {
	p := &Previous{missing: st.Missing}
	read := func(name string) []byte {
		if data, listed := d.readListed(st, name); listed {
			return data
		}
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(read(snapshot.MetaDataFile)))
	dec.UseNumber() // preserves the digits of the file
	if err := dec.Decode(&p.metaData); err != nil {
		p.metaData = nil
	}
	p.userData = read(snapshot.UserDataFile)
	if err := json.Unmarshal(read(snapshot.SignaturesFile), &p.signatures); err != nil {
		p.signatures = signatureSet{}
	}
	return p
}

// Sums returns the digests of the files other than status.json as they are, by name. A file
// that does not exist has an empty digest, and one that cannot be read is left out. The
// digests of secret files must not be published.
func (d *Dir) Sums() map[string]string {
	sums := map[string]string{}
	for _, name := range order() {
		data, _, err := atomicfile.Read(d.self, name, snapshot.MaxFile)
		switch {
		case err == nil:
			sums[name] = *File{Data: data}.Sum()
		case errors.Is(err, fs.ErrNotExist):
			sums[name] = ""
		}
	}
	return sums
}

// Status reads status.json. An error matches [fs.ErrNotExist], [snapshot.ErrNotOurs] or
// [snapshot.ErrLaterSchema], or is an error of the file system.
func (d *Dir) Status() (snapshot.Status, error) {
	var st snapshot.Status
	data, _, err := atomicfile.Read(d.self, snapshot.StatusFile, snapshot.MaxStatus)
	if errors.Is(err, atomicfile.ErrNotRegular) {
		err = fmt.Errorf("%w: %w", snapshot.ErrNotOurs, err)
	}
	if err == nil {
		st, err = snapshot.ParseStatus(data)
	}
	if err != nil {
		return snapshot.Status{}, fmt.Errorf("reading %s: %w", filepath.Join(d.path, snapshot.StatusFile), err)
	}
	return st, nil
}

// remove removes a file if it exists. If the file is a link, the link is removed, not its
// target.
func (d *Dir) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", filepath.Join(d.path, name), err)
	}
	return nil
}

// removeAll removes, in order, those of the files that exist, and returns their names. Most
// of them never exist, and reading the directory is faster than trying each.
func (d *Dir) removeAll(names []string) (removed []string, err error) {
	if _, err := d.self.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.path, err)
	}
	present, err := d.self.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.path, err)
	}
	for _, name := range names {
		if !slices.Contains(present, name) {
			continue
		}
		if err := d.remove(name); err != nil {
			return nil, err
		}
		removed = append(removed, name)
	}
	return removed, nil
}

// Write replaces the file name, which must be one of the file names in package snapshot,
// with f by [atomicfile.Write]. It reports whether the file changed: a file that already has
// this content and mode is not replaced, so that programs that watch it are not woken up.
func (d *Dir) Write(name string, f File) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write(name, f)
}

// write implements Write. The caller must hold d.mu.
func (d *Dir) write(name string, f File) (changed bool, err error) {
	if name != snapshot.StatusFile && !slices.Contains(order(), name) {
		return false, fmt.Errorf("writing %q: must be a file name of package snapshot", name)
	}
	data, info, err := atomicfile.Read(d.self, name, snapshot.MaxFile)
	if err == nil && info.Mode() == f.Mode() && bytes.Equal(data, f.Data) {
		return false, nil
	}
	if err := atomicfile.Write(d.root, name, f.Data, f.Mode()); err != nil {
		return false, fmt.Errorf("writing %s: %w", filepath.Join(d.path, name), err)
	}
	return true, nil
}

// Publish writes the files of s that differ, in the order of [Snapshot.Files], then removes
// the files that s does not contain. It returns the digests for status.json by name, which
// are nil for secret files, and the sorted names of the files that were replaced or removed.
// If before is not nil, it is called with the name of each file before that is written.
//
// Publish stops at the first error. Files before it are then new, and those after it are
// old. Files that did not exist before are removed again, above all identity.json, whose
// existence means that IMDS answered.
func (d *Dir) Publish(s Snapshot, state string, before func(name string)) (sums map[string]*string, changed []string, err error) {
	d.published.Store(true)
	sums, changed, added, err := d.publish(s, state, before)
	if err == nil {
		slices.Sort(changed)
		return sums, changed, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Backward(added) {
		left := d.remove(name)
		err = errors.Join(err, left)
	}
	return nil, nil, err
}

// publish is like Publish, but keeps all files after an error. added contains the names of
// the files that did not exist before, even after an error.
func (d *Dir) publish(s Snapshot, state string, before func(name string)) (sums map[string]*string, changed, added []string, err error) {
	sums = map[string]*string{}
	for name, f := range s.Files(state) {
		if before != nil {
			before(name)
		}
		_, missing := d.root.Lstat(name)
		replaced, err := d.Write(name, f)
		if err != nil {
			return nil, nil, added, err
		}
		if replaced {
			changed = append(changed, name)
		}
		if errors.Is(missing, fs.ErrNotExist) {
			added = append(added, name)
		}
		sums[name] = f.Sum()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	removed, err := d.removeAll(slices.DeleteFunc(order(), func(name string) bool {
		_, written := sums[name]
		return written
	}))
	if err != nil {
		return nil, nil, added, err
	}
	changed = append(changed, removed...)
	return sums, changed, added, nil
}

// WriteState writes the state to imds.env and leaves all other files unchanged, for a gate
// that ends without a collection. Variables of an earlier collection are kept, but lines
// that this package would not write are removed. It returns the digest of imds.env for
// status.json.
func (d *Dir) WriteState(state string) (sum *string, err error) {
	d.published.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	old, _, err := atomicfile.Read(d.self, snapshot.EnvFile, snapshot.MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, atomicfile.ErrNotRegular):
		old = nil // there are no variables to keep
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(d.path, snapshot.EnvFile), err)
	}
	f := envFile(state, knownLines(old))
	if _, err := d.write(snapshot.EnvFile, f); err != nil {
		return nil, err
	}
	return f.Sum(), nil
}

// WriteStatus writes status.json. It must be called after the files that st lists were
// written. The file has at most [snapshot.MaxStatus] bytes: texts are shortened, and entries
// of `missing` that do not fit are counted in missing_more.
func (d *Dir) WriteStatus(st snapshot.Status) error {
	data, err := encode(bounded(st))
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		err = atomicfile.Write(d.root, snapshot.StatusFile, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(d.path, snapshot.StatusFile), err)
	}
	return nil
}

// WriteFinalStatus is like [Dir.WriteStatus], for the last status of a run.
//
// If the run failed after it began to publish, for example because of a signal, the state
// is first written to imds.env, and `files` lists the files that exist. If imds.env cannot
// be rewritten, it is removed. A run that failed before it began to publish keeps the files
// of an earlier run.
//
// If there is no space for the new status beside an old one that says "waiting", the old
// one is removed first, because it would be wrong until the next boot.
func (d *Dir) WriteFinalStatus(st snapshot.Status) error {
	if st.State == snapshot.Failed && d.published.Load() {
		st.Files = d.writeFailedState(st.State)
	}
	err := d.WriteStatus(st)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	if old, unread := d.Status(); unread != nil || old.State != snapshot.Waiting {
		return err
	}
	d.mu.Lock()
	removed := d.remove(snapshot.StatusFile)
	d.mu.Unlock()
	if removed != nil {
		return err
	}
	return d.WriteStatus(st)
}

// writeFailedState writes the state to imds.env if that exists, and returns the digests of
// the existing files.
func (d *Dir) writeFailedState(state string) map[string]*string {
	if _, err := d.root.Lstat(snapshot.EnvFile); err == nil {
		if _, err := d.WriteState(state); err != nil {
			d.mu.Lock()
			_ = d.remove(snapshot.EnvFile) // if even that fails, only the status is correct
			d.mu.Unlock()
		}
	}
	sums := map[string]*string{}
	for _, name := range order() {
		if data, _, err := atomicfile.Read(d.self, name, snapshot.MaxFile); err == nil {
			sums[name] = File{Data: data, Secret: isSecret(name)}.Sum()
		}
	}
	return sums
}
