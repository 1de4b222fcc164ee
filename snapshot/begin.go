// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Begin is what the holder of the lock does first. It removes the temporary files
// of a daemon that was killed. If status.json is of this boot, it is returned and
// all files stay. If it is missing, not readable as ours, or of another boot,
// every file of the table is removed, and nothing else in the directory; the
// zero Status is returned, which has no BootID. bootID "" is never the same boot.
func (d *Dir) Begin(bootID string) (Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// The status first: without it, the next start clears the rest again, should
	// this one be killed in between.
	names := append([]string{StatusFile}, order()...)
	for _, name := range names {
		if err := d.remove(temporary(name)); err != nil {
			return Status{}, err
		}
	}
	st, err := d.Status()
	if err == nil && st.BootID == bootID { // which is not "" when err is nil
		return st, nil
	}
	for _, name := range names {
		if err := d.remove(name); err != nil {
			return Status{}, err
		}
	}
	return Status{}, nil
}

// remove unlinks a file, if it is there; a link itself, not what it points to.
func (d *Dir) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", filepath.Join(d.path, name), err)
	}
	return nil
}
