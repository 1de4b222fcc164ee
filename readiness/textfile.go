// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"log/slog"

	"github.com/imds-ready/imds-ready/internal/metrics"
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
	err := metrics.Write(t.path, metrics.Gate(st))
	if err == nil || t.warned {
		return
	}
	t.warned = true
	t.log.Warn("writing the metrics", "err", err, "hint", metrics.Hint)
}
