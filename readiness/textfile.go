// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/imds-ready/imds-ready/snapshot"
)

// textfile is the metrics of a run for the textfile collector of Prometheus'
// node_exporter. The zero value writes nothing.
type textfile struct {
	path   string // absolute, ends in ".prom"
	log    *slog.Logger
	warned bool
}

// write puts the metrics of a status in place. What goes wrong is one warning a
// run and no more: a gate does not fail for its gauges.
func (t *textfile) write(st snapshot.Status) {
	if t.path == "" {
		return
	}
	err := replaceFile(t.path, exposition(metrics(st)))
	if err == nil || t.warned {
		return
	}
	t.warned = true
	t.log.Warn("writing the metrics", "err", err,
		"hint", "the directory of output.textfile must be there, and writable for this user; under systemd, name it in ReadWritePaths=")
}

// replaceFile puts data in the place of the file at path, mode 0644 whatever the
// umask. The directory is not made: only its owner knows who shall read it.
//
// As package snapshot does: openat(O_CREAT|O_EXCL|O_NOFOLLOW), fchmod, write,
// close, renameat. A reader sees the whole old file or the whole new one, and a
// link that is planted at either name is replaced, not followed. Nor does a
// reader take the temporary for metrics, as that does not end in ".prom". There
// is no fsync: the next boot writes a new file anyway.
func replaceFile(path string, data []byte) error {
	dir, name := filepath.Split(path)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer root.Close()
	tmp := "." + name + ".tmp"
	out, err := create(root, tmp)
	if err == nil {
		err = fill(out, data)
		if err == nil {
			err = root.Rename(tmp, name)
		}
		if err != nil {
			err = errors.Join(err, root.Remove(tmp))
		}
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// create makes a new, empty file. A killed daemon may have left one: out of the
// way with it, once.
func create(root *os.Root, name string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	out, err := root.OpenFile(name, flags, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return out, err
	}
	if err := root.Remove(name); err != nil {
		return nil, err
	}
	return root.OpenFile(name, flags, 0o600)
}

// fill writes out and closes it.
func fill(out *os.File, data []byte) error {
	err := out.Chmod(0o644)
	if err == nil {
		_, err = out.Write(data)
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}
