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
	// ErrNotOurs means that imds-ready cannot have written the file.
	ErrNotOurs = errors.New("not written by imds-ready")
	// ErrReplaced means that the gate is waiting and status.json does not list the file
	// with its digest: a daemon is replacing the files, or was killed while it did so.
	ErrReplaced = errors.New("replaced by a run that has no final status yet")
	// ErrLaterSchema means that status.json has the format of a later, incompatible
	// version of imds-ready.
	ErrLaterSchema = errors.New("written by a later version of imds-ready")
)

// MaxStatus is the maximum size of status.json in bytes. The daemon never writes a
// larger one, and readers reject it.
const MaxStatus = 1 << 20

// MaxFile is the maximum size of every other file in bytes. The daemon usually writes a
// few KiB, and never a larger file. Readers reject one.
const MaxFile = 8 << 20

// ReadStatus reads status.json in dir, such as /run/imds, without a lock. An error
// matches [io/fs.ErrNotExist] if the file or dir is missing, [ErrNotOurs] or
// [ErrLaterSchema], or is an error of the file system.
func ReadStatus(dir string) (Status, error) {
	st, _, err := ReadStatusJSON(dir, AnyBoot)
	return st, err
}

// ReadStatusJSON is like [ReadStatus], but requires a status of the boot bootID (see
// [Status.CheckBoot]) and also returns the unchanged content of the file, including
// keys that this version does not know.
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

// ReadNetwork reads network.json in dir, such as /run/imds, which contains one JSON
// object. The object may be newer than status.json while the files are being replaced.
// An error matches [io/fs.ErrNotExist] if IMDS listed no interfaces, matches
// [ErrNotOurs], or is an error of the file system.
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
	// The version is decoded separately, to distinguish a later schema from an invalid
	// file.
	var head struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	switch {
	case head.Schema == nil || *head.Schema < SchemaVersion:
		return Status{}, fmt.Errorf("%w: schema is missing or less than %d", ErrNotOurs, SchemaVersion)
	case *head.Schema > SchemaVersion:
		return Status{}, fmt.Errorf("%w: its schema is %d, but this program supports only %d: update this program",
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
		return Status{}, fmt.Errorf("%w: boot_id is missing", ErrNotOurs)
	}
	return st.Normal(), nil
}
