// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
)

// The errors of [ReadStatus] besides [io/fs.ErrNotExist] and those of the
// file system; match them with [errors.Is].
var (
	// ErrNotOurs is a status.json that this program cannot have written.
	ErrNotOurs = errors.New("not a file of imds-ready")
	// ErrReplaced is a file whose contents differ from what status.json lists while the
	// gate waits: a daemon is replacing it, or was killed meanwhile.
	ErrReplaced = errors.New("replaced by a run that has no final status yet")
	// ErrLaterSchema is a status.json of a later, incompatible version.
	ErrLaterSchema = errors.New("a status file of a later version of imds-ready")
)

// MaxStatus is the size of the largest status.json that is read, in bytes. The daemon
// writes no larger one.
const MaxStatus = 1 << 20

// maxRead bounds the size of a file. The daemon writes some KiB, and never more than
// this.
const maxRead = 8 << 20

// ReadStatus reads status.json in dir, such as /run/imds, without a lock. An
// error matches [io/fs.ErrNotExist] when it or dir is missing, [ErrNotOurs],
// [ErrLaterSchema], or is the file system's.
func ReadStatus(dir string) (Status, error) {
	st, _, err := ReadStatusJSON(dir, AnyBoot)
	return st, err
}

// ReadStatusJSON is [ReadStatus] for the files of one boot, see [Status.CheckBoot],
// and also returns the file as it is: with the keys that this version does not
// know.
func ReadStatusJSON(dir, bootID string) (Status, []byte, error) {
	path := filepath.Join(dir, StatusFile)
	f, err := openDirectory(dir)
	if err != nil {
		return Status{}, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	defer f.Close()
	st, data, err := readStatus(f, dir)
	if err != nil {
		return Status{}, nil, err
	}
	if err := st.CheckBoot(bootID); err != nil {
		return Status{}, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return st, data, nil
}

// ReadNetwork reads the object in network.json in dir, such as /run/imds. It belongs to
// the collection that status.json is about, but may be newer while the files are
// being replaced. An error matches [io/fs.ErrNotExist] if IMDS listed no interfaces,
// matches [ErrNotOurs], or is the file system's.
func ReadNetwork(dir string) (json.RawMessage, error) {
	path := filepath.Join(dir, NetworkFile)
	f, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	defer f.Close()
	src := readObject(f, dir, NetworkFile)
	if src.err == nil && src.text == nil {
		src.err = fmt.Errorf("reading %s: %w", path, fs.ErrNotExist)
	}
	return bytes.TrimSpace(src.text), src.err
}

// openDirectory opens dir for [atomicfile.Read].
func openDirectory(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

func readStatus(dir *os.File, path string) (Status, []byte, error) {
	data, _, err := atomicfile.Read(dir, StatusFile, MaxStatus)
	if errors.Is(err, atomicfile.ErrNotRegular) {
		err = fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	var st Status
	if err == nil {
		st, err = ParseStatus(data)
	}
	if err != nil {
		return Status{}, nil, fmt.Errorf("reading %s: %w", filepath.Join(path, StatusFile), err)
	}
	return st, data, nil
}

// ParseStatus decodes the content of status.json. An error matches [ErrNotOurs] or
// [ErrLaterSchema]. Unknown keys are ignored.
func ParseStatus(data []byte) (Status, error) {
	// The version comes first, to tell a later schema from a broken file.
	var head struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	switch {
	case head.Schema == nil || *head.Schema < SchemaVersion:
		return Status{}, fmt.Errorf("%w: no schema number, %d or more", ErrNotOurs, SchemaVersion)
	case *head.Schema > SchemaVersion:
		return Status{}, fmt.Errorf("%w: schema %d, this program knows %d: update it",
			ErrLaterSchema, *head.Schema, SchemaVersion)
	}
	var st Status
	if err := json.Unmarshal(data, &st); err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	if !slices.Contains([]string{Waiting, Ready, Degraded, Skipped, Failed}, st.State) {
		return Status{}, fmt.Errorf("%w: unknown state %q", ErrNotOurs, st.State)
	}
	if st.BootID == "" {
		return Status{}, fmt.Errorf("%w: no boot_id", ErrNotOurs)
	}
	return st.Normal(), nil
}
