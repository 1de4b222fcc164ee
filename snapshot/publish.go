// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// roots are the paths that a file comes from.
func roots() map[string]string {
	return map[string]string{
		MetaDataFile:   metaDataRoot + "/",
		TagsFile:       metaDataRoot + "/tags/instance/",
		NetworkFile:    macsPath + "/",
		UserDataFile:   userDataPath,
		SignaturesFile: "dynamic/instance-identity/pkcs7",
	}
}

// Keeping returns a snapshot that leaves a file in its place where there is no
// content for it because a request failed, not because there is none: missing has
// the paths that could not be had. [Dir.Publish] neither writes nor removes it.
func (s Snapshot) Keeping(missing map[string]string) Snapshot {
	s.kept = nil
	for file, root := range roots() {
		if _, ok := s.files[file]; ok {
			continue
		}
		for path := range missing {
			if path == root || strings.HasSuffix(path, "/") && strings.HasPrefix(root, path) {
				s.kept = append(s.kept, file)
				break
			}
		}
	}
	return s
}

// Kept are the files that stay as they are; see [Snapshot.Keeping].
func (s Snapshot) Kept() []string { return s.kept }

// Publish writes every file of s, in the order of [Snapshot.Files], then removes
// the files that s has no content for. It returns what status.json lists: the
// digests by name, nil for secret files. before, unless nil, is called with the
// name before each file.
//
// An error ends it there: the files before are the new ones, the others the old.
// Those that were not there at all are removed again, identity.json above all,
// whose being there says that IMDS answered.
func (d *Dir) Publish(s Snapshot, state string, before func(name string)) (map[string]*string, error) {
	sums, added, err := d.publish(s, state, before)
	if err == nil {
		return sums, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Backward(added) {
		err = errors.Join(err, d.remove(name))
	}
	return nil, err
}

// publish is Publish without the way back; added are the files that were not
// there, with an error too.
func (d *Dir) publish(s Snapshot, state string, before func(name string)) (sums map[string]*string, added []string, err error) {
	sums = map[string]*string{}
	for name, f := range s.Files(state) {
		if before != nil {
			before(name)
		}
		_, missing := d.root.Lstat(name)
		if _, err := d.Write(name, f); err != nil {
			return nil, added, err
		}
		if errors.Is(missing, fs.ErrNotExist) {
			added = append(added, name)
		}
		sums[name] = f.Sum()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range order() {
		if _, written := sums[name]; written || slices.Contains(s.kept, name) {
			continue
		}
		if err := d.remove(name); err != nil {
			return nil, added, err
		}
	}
	return sums, added, nil
}

// WriteState is for a gate that ends without a collection: imds.env gets this
// state, keeps its other lines if there are any, and no other file is touched.
// The digest of imds.env for status.json is returned.
func (d *Dir) WriteState(state string) (sum *string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, _, err := readRegular(d.self, EnvFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotRegular):
		old = nil // nothing of ours to keep
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(d.path, EnvFile), err)
	}
	f := envFile(state, otherLines(old))
	if _, err := d.write(EnvFile, f); err != nil {
		return nil, err
	}
	return f.Sum(), nil
}

// WriteFinalStatus is [Dir.WriteStatus] for the last time. Where there is no room
// for it beside the old one, and that only says that somebody waits, the old one
// goes first: it would be wrong for ever.
func (d *Dir) WriteFinalStatus(st Status) error {
	err := d.WriteStatus(st)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	if old, unread := d.Status(); unread != nil || old.State != Waiting {
		return err
	}
	d.mu.Lock()
	removed := d.remove(StatusFile)
	d.mu.Unlock()
	if removed != nil {
		return err
	}
	return d.WriteStatus(st)
}

// WriteStatus writes status.json. It comes after the files that it lists. The
// Schema of st is set, its times are written in UTC with milliseconds.
func (d *Dir) WriteStatus(st Status) error {
	data, err := encode(st.normal())
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(d.path, StatusFile), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.replace(StatusFile, File{Data: data}); err != nil { // it is never the same again
		return fmt.Errorf("writing %s: %w", filepath.Join(d.path, StatusFile), err)
	}
	return nil
}
