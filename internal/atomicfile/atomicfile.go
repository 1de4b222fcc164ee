// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces small files so that a reader sees the complete old
// file or the complete new one, and reads them back without following links. It
// is for directories in which another user may have created files or links.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Temporary returns the name beside name under which [Write] prepares a file. It
// is always the same, so a killed writer leaves at most one such file.
func Temporary(name string) string { return "." + name + ".tmp" }

// Write replaces the file name in root. The mode is exactly the given one, regardless
// of the umask. After an error, the old file is unchanged and the temporary file is
// removed. Only one Write of the same name may run at a time.
//
// The temporary file is created with O_EXCL, so Write never opens a file that another
// user created, and renameat(2) replaces a link instead of following it. If a temporary
// file already exists, Write removes it and tries again once. It does not call fsync(2),
// because the files are valid for one boot only.
func Write(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	temporary := Temporary(name)
	file, err := create(root, temporary)
	if errors.Is(err, fs.ErrExist) {
		if err := root.Remove(temporary); err != nil {
			return err
		}
		file, err = create(root, temporary)
	}
	if err != nil {
		return err
	}
	err = file.Chmod(mode)
	if err == nil {
		_, err = file.Write(data)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err == nil {
		return nil
	}
	if left := root.Remove(temporary); left != nil && !errors.Is(left, fs.ErrNotExist) {
		return fmt.Errorf("%w; then %w", err, left)
	}
	return err
}

// create creates an empty file. Its mode is 0600 until Write sets the final one, so that
// other users can never read a secret.
func create(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

// ErrNotRegular means that the name is a link, a directory, a FIFO, a socket or a
// device, or a file that is larger than the limit of the reader.
var ErrNotRegular = errors.New("not a regular file")

// Read reads the regular file name in the directory dir, which may have at most limit
// bytes. An error matches [ErrNotRegular] or is an error of the file system.
//
// It uses openat(2) because [os.Root] follows links within the directory: a link from a
// public file to a secret one would publish the secret. It uses O_NONBLOCK because
// opening a FIFO would otherwise wait for a writer.
func Read(dir *os.File, name string, limit int64) ([]byte, fs.FileInfo, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) { // a link; a socket
		return nil, nil, ErrNotRegular
	}
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, ErrNotRegular
	}
	var data bytes.Buffer
	data.Grow(int(min(info.Size(), limit)) + bytes.MinRead) // allocates the buffer only once
	if _, err := data.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, nil, err
	}
	if int64(data.Len()) > limit {
		return nil, nil, fmt.Errorf("%w: larger than %d bytes", ErrNotRegular, limit)
	}
	return data.Bytes(), info, nil
}

// Owner returns the user who owns a file.
func Owner(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}
