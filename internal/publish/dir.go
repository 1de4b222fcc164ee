// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// maxFile bounds what is read back to compare or to rewrite it, in bytes. Build
// makes no larger file.
const maxFile = 8 << 20

// Dir is the directory of the files, locked for one writer. Its methods may be
// called by several goroutines at once.
type Dir struct {
	path string
	root *os.Root
	self *os.File   // the directory itself
	lock *os.File   // the lock file, nil until it is locked
	mu   sync.Mutex // one write at a time: the names of temporaries are fixed

	published atomic.Bool // imds.env may have the state of this run
}

// maxTries bounds how often OpenDir starts over because something was replaced.
const maxTries = 10

// OpenDir opens the directory at path, and makes it if it is missing, with its
// parents, mode 0755 whatever the umask. It takes flock(2) on the file .lock in it.
// If another process holds that, the error is a *[LockedError].
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
	if err := d.takeLock(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// InPlace returns an error if the path no longer leads to the directory that is
// held, because it was moved away, removed or mounted over: readers do not find the
// files then.
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
		return fmt.Errorf("checking %s: it was moved or mounted over since this process opened it", d.path)
	}
	return nil
}

// makeDir makes the directory at path and its parents. New ones get mode 0755,
// also under umask 077, which daemons inherit from hardened shells; existing ones
// keep theirs.
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
	// By descriptor: the name may lead elsewhere by now.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o755), f.Close())
}

// Close releases the directory and its lock. The files stay.
func (d *Dir) Close() error {
	err := errors.Join(d.self.Close(), d.root.Close())
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// Begin must be the first call of the holder of the lock. It removes the temporary
// files of a killed daemon. If status.json is of the boot bootID, it is returned
// and all files stay. Otherwise, also if it cannot be read as ours, the files of
// this program are removed, nothing else in the directory is, and the zero Status
// is returned. An empty bootID never matches.
func (d *Dir) Begin(bootID string) (snapshot.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// The status goes first: if this process is killed before it has removed the
	// rest, the next start finds no status and removes it.
	names := append([]string{snapshot.StatusFile}, order()...)
	for _, name := range names {
		if _, err := d.remove(atomicfile.Temporary(name)); err != nil {
			return snapshot.Status{}, err
		}
	}
	st, err := d.Status()
	if err == nil && st.BootID == bootID { // no status without a boot ID is read
		return d.vouched(st)
	}
	for _, name := range names {
		if _, err := d.remove(name); err != nil {
			return snapshot.Status{}, err
		}
	}
	return snapshot.Status{}, nil
}

// vouched removes the files that a daemon had replaced when it was killed, before it
// could list them in a status: beside the others they would be of another moment.
// d.mu is held.
func (d *Dir) vouched(st snapshot.Status) (snapshot.Status, error) {
	st.Files = maps.Clone(st.Files)
	for _, name := range []string{snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.TagsFile, snapshot.IdentityFile} {
		data, _, err := atomicfile.Read(d.self, name, maxFile)
		if want := st.Files[name]; err == nil && want != nil && *want == *(File{Data: data}).Sum() {
			continue
		}
		if _, err := d.remove(name); err != nil {
			return snapshot.Status{}, err
		}
		delete(st.Files, name)
	}
	return st, nil
}

// Previous reads what the files of this boot have, for [Build]: st is their status,
// as [Dir.Begin] returns it. A file whose digest is not that of the status, or that
// cannot be read, counts as absent.
func (d *Dir) Previous(st snapshot.Status) *Previous {
	p := &Previous{missing: st.Missing}
	read := func(name string) []byte {
		want, listed := st.Files[name]
		data, info, err := atomicfile.Read(d.self, name, maxFile)
		if !listed || err != nil {
			return nil
		}
		if f := (File{Data: data}); want != nil && *want != *f.Sum() || want == nil && info.Mode().Perm() != 0o600 {
			return nil
		}
		return data
	}
	dec := json.NewDecoder(bytes.NewReader(read(snapshot.MetaDataFile)))
	dec.UseNumber() // a number stays as it is written
	if err := dec.Decode(&p.metaData); err != nil {
		p.metaData = nil
	}
	p.userData = read(snapshot.UserDataFile)
	if err := json.Unmarshal(read(snapshot.SignaturesFile), &p.signatures); err != nil {
		p.signatures = signatureSet{}
	}
	return p
}

// Status reads status.json back. An error matches [fs.ErrNotExist] or one of
// package snapshot, or is the file system's.
func (d *Dir) Status() (snapshot.Status, error) {
	var st snapshot.Status
	data, _, err := atomicfile.Read(d.self, snapshot.StatusFile, snapshot.MaxStatus)
	if err == nil {
		st, err = snapshot.ParseStatus(data)
	}
	if err != nil {
		return snapshot.Status{}, fmt.Errorf("reading %s: %w", filepath.Join(d.path, snapshot.StatusFile), err)
	}
	return st, nil
}

// remove unlinks a file if it exists, and reports whether it did. It removes a link
// itself, not its target.
func (d *Dir) remove(name string) (bool, error) {
	err := d.root.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("removing %s: %w", filepath.Join(d.path, name), err)
	}
	return err == nil, nil
}

// Write replaces the file name, one of the file names in package snapshot, with f
// and reports whether that changed anything: a file that already has this content
// and mode is left alone, so that nothing that watches it wakes up. See
// [atomicfile.Write].
func (d *Dir) Write(name string, f File) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write(name, f)
}

// write is Write for callers that hold d.mu.
func (d *Dir) write(name string, f File) (changed bool, err error) {
	if name != snapshot.StatusFile && !slices.Contains(order(), name) {
		return false, fmt.Errorf("writing %q: not a file of this directory", name)
	}
	data, info, err := atomicfile.Read(d.self, name, maxFile)
	if err == nil && info.Mode() == f.Mode() && bytes.Equal(data, f.Data) {
		return false, nil
	}
	if err := atomicfile.Write(d.root, name, f.Data, f.Mode()); err != nil {
		return false, fmt.Errorf("writing %s: %w", filepath.Join(d.path, name), err)
	}
	return true, nil
}

// Publish writes the files of s that differ, in the order of [Snapshot.Files], then
// removes the files that s has no content for. It returns the digests for
// status.json by name, nil for secret files, and the sorted names of the files that
// were replaced or removed. before, unless nil, is called with the name before each
// file.
//
// An error ends it at once: earlier files are new, later ones old. Files that did
// not exist are removed again, identity.json above all, because its existence means
// that IMDS answered.
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
		_, left := d.remove(name)
		err = errors.Join(err, left)
	}
	return nil, nil, err
}

// publish is Publish without the undoing. added has the files that did not exist
// before, also after an error.
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
	for _, name := range order() {
		if _, written := sums[name]; written {
			continue
		}
		removed, err := d.remove(name)
		if err != nil {
			return nil, nil, added, err
		}
		if removed {
			changed = append(changed, name)
		}
	}
	return sums, changed, added, nil
}

// WriteState is for a gate that ends without a collection: imds.env gets this
// state and keeps the variables of an earlier collection, but nothing that this package
// would not write; no other file is touched. It returns the digest of imds.env for
// status.json.
func (d *Dir) WriteState(state string) (sum *string, err error) {
	d.published.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	old, _, err := atomicfile.Read(d.self, snapshot.EnvFile, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, atomicfile.ErrNotRegular):
		old = nil // nothing of ours to keep
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(d.path, snapshot.EnvFile), err)
	}
	f := envFile(state, knownLines(old))
	if _, err := d.write(snapshot.EnvFile, f); err != nil {
		return nil, err
	}
	return f.Sum(), nil
}

// WriteStatus writes status.json. It comes after the files that it lists. It has
// at most [snapshot.MaxStatus] bytes: texts are shortened, and entries of `missing`
// that do not fit are counted in missing_more.
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

// WriteFinalStatus is [Dir.WriteStatus] for the last status of a run.
//
// If the run has failed after it began to publish, imds.env first gets the same state,
// and `files` lists what is there: a signal or an error came between the files and this
// status. If imds.env cannot be rewritten, it is removed. A run that failed without
// publishing leaves the files of an earlier one alone.
//
// If there is no space for the status beside an old one that says "waiting", the old
// one is removed first: it would be wrong until the next boot.
func (d *Dir) WriteFinalStatus(st snapshot.Status) error {
	if st.State == snapshot.Failed && d.published.Load() {
		st.Files = d.settle(st.State)
	}
	err := d.WriteStatus(st)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	if old, unread := d.Status(); unread != nil || old.State != snapshot.Waiting {
		return err
	}
	d.mu.Lock()
	_, removed := d.remove(snapshot.StatusFile)
	d.mu.Unlock()
	if removed != nil {
		return err
	}
	return d.WriteStatus(st)
}

// settle makes an existing imds.env say state, and returns the digests of the files
// that are there.
func (d *Dir) settle(state string) map[string]*string {
	if _, err := d.root.Lstat(snapshot.EnvFile); err == nil {
		if _, err := d.WriteState(state); err != nil {
			d.mu.Lock()
			_, _ = d.remove(snapshot.EnvFile) // if even that fails, the status is all there is
			d.mu.Unlock()
		}
	}
	sums := map[string]*string{}
	for _, name := range order() {
		if data, _, err := atomicfile.Read(d.self, name, maxFile); err == nil {
			sums[name] = File{Data: data, Secret: isSecret(name)}.Sum()
		}
	}
	return sums
}
