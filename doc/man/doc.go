// SPDX-License-Identifier: Apache-2.0

// Package man is the manual: imds-ready(8), imds-ready.toml(5),
// imds-ready-files(5) and imds-sim(1), as sources of mdoc(7). There is no code in
// it. Its tests hold the pages and the program together, in both directions: each
// flag, key, range, default, class, action, preset, file, field, variable, fault
// and exit code that one of them has, the other has too.
//
// The tests read the sources of the pages, so that they need no formatter; the
// script lint (make man-lint) asks mandoc(1) what it thinks of them.
package man
