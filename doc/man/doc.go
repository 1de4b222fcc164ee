// SPDX-License-Identifier: Apache-2.0

// Package man is the manual: imds-ready(8), imds-ready.toml(5),
// imds-ready-files(5) and imds-sim(1), written in mdoc(7). It has no code. Its
// tests compare the pages with the programs in both directions: each flag, key,
// range, default, class, action, preset, file, field, variable, fault and exit
// code must be in both.
//
// The tests read the mdoc sources, so they do not need a formatter. The script
// lint (make man-lint) checks the pages with mandoc(1).
package man
