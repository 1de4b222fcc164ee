// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// What [ReadStatus] and [Dir.Status] return besides [io/fs.ErrNotExist] and the
// errors of the file system; match them with errors.Is.
var (
	// ErrNotOurs is a status.json that this program cannot have written.
	ErrNotOurs = errors.New("not a file of imds-ready")
	// ErrLaterSchema is a status.json of a later, incompatible version.
	ErrLaterSchema = errors.New("a status file of a later version of imds-ready")
)

// errNotRegular is a link, a directory, a FIFO or a device in a file's place.
var errNotRegular = errors.New("not a regular file")

// maxRead bounds what is read back. What the daemon writes is some KiB, and less
// than this whatever it was served: Build sees to that.
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

// openDirectory opens dir for [readRegular].
func openDirectory(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

// Status reads status.json back; its errors are those of [ReadStatus].
func (d *Dir) Status() (Status, error) {
	st, _, err := readStatus(d.self, d.path)
	return st, err
}

func readStatus(dir *os.File, path string) (Status, []byte, error) {
	data, _, err := readRegular(dir, StatusFile)
	if errors.Is(err, errNotRegular) {
		err = fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	var st Status
	if err == nil {
		st, err = parseStatus(data)
	}
	if err != nil {
		return Status{}, nil, fmt.Errorf("reading %s: %w", filepath.Join(path, StatusFile), err)
	}
	return st, data, nil
}

// parseStatus reads the version first, so that a later schema is told from a
// broken file, then the whole. Keys that it does not know are passed over.
func parseStatus(data []byte) (Status, error) {
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
	return st.normal(), nil
}

// readRegular reads a file of dir, and only a regular one. os.Root would follow a
// link that stays inside it, even with O_NOFOLLOW, and a link from imds.env to
// user-data would turn a secret into a public file: hence openat. O_NONBLOCK, as
// opening a FIFO would wait for its writer.
func readRegular(dir *os.File, name string) ([]byte, os.FileInfo, error) {
	fd, err := unix.Openat(int(dir.Fd()), name,
		unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return nil, nil, errNotRegular // a link; a socket
	}
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNotRegular
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRead+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxRead {
		return nil, nil, fmt.Errorf("%w: larger than %d bytes", errNotRegular, maxRead)
	}
	return data, info, nil
}
