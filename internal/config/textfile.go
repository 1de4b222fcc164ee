// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// metricsFile is the file that is written in a directory. node_exporter reads
// what ends in metricsSuffix and nothing else (its collector/textfile.go).
const (
	metricsSuffix = ".prom"
	metricsFile   = "imds_ready" + metricsSuffix
)

// legalTextfile is the range of output.textfile.
const legalTextfile = `an absolute path of a directory or of a file that ends in ".prom", or "" for none`

// textfile checks the place of the metrics and returns the name of the file
// itself. That there is such a directory is not checked: it may be mounted
// later, and metrics that cannot be written stop nothing.
func textfile(raw string) (value, problem string) {
	switch {
	case raw == "":
		return "", ""
	case strings.ContainsFunc(raw, unicode.IsControl):
		return "", "has a control character"
	case !filepath.IsAbs(raw):
		return "", "is relative: begin it with a slash"
	case slices.ContainsFunc(strings.Split(raw, "/"), func(s string) bool { return s == "." || s == ".." }):
		return "", `has a segment "." or ".."`
	case strings.HasSuffix(raw, metricsSuffix):
		return filepath.Clean(raw), ""
	}
	return filepath.Join(raw, metricsFile), ""
}
