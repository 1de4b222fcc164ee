// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
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

// replaceFile replaces the file at path, mode 0644, whose directory must exist: only
// its owner knows who may read it. Metrics are read from files that end in ".prom",
// which the temporary does not.
func replaceFile(path string, data []byte) error {
	dir, name := filepath.Split(path)
	root, err := os.OpenRoot(dir)
	if err == nil {
		defer root.Close()
		err = atomicfile.Write(root, name, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
