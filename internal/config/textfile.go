// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// metricsFile is the file that is written in a directory. node_exporter reads
// only files that end in metricsSuffix (its collector/textfile.go).
const (
	metricsSuffix = ".prom"
	metricsFile   = "imds_ready" + metricsSuffix
)

// validTextfile is the range of output.textfile.
const validTextfile = `the absolute path of a directory, or of a file that ends in ".prom"; "" for no metrics`

// textfile checks the place of the metrics and returns the name of the file
// itself. The directory need not exist yet: it may be mounted later, and metrics
// that cannot be written stop nothing.
func textfile(raw string) (value, problem string) {
	switch {
	case raw == "":
		return "", ""
	case strings.ContainsFunc(raw, unicode.IsControl):
		return "", "has a control character"
	case !filepath.IsAbs(raw):
		return "", "must be absolute: begin it with a slash"
	case slices.ContainsFunc(strings.Split(raw, "/"), func(s string) bool { return s == "." || s == ".." }):
		return "", `has a segment "." or ".."`
	case strings.HasSuffix(raw, metricsSuffix):
		return filepath.Clean(raw), ""
	}
	return filepath.Join(raw, metricsFile), ""
}
