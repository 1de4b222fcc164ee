// SPDX-License-Identifier: Apache-2.0

// Package doc is the folder of the documentation: manual pages, schemas, drop-ins
// and the demonstration. There is no code in it; its tests run what README.md shows.
//
// A block of README.md is run when it is fenced as sh, python or go, loaded when it
// is toml, and compared with doc/examples when it is ini. The files are those of the
// simulator's instance then, in a directory of the test. An indented block needs a
// machine of its own, and is only shown; of its make targets a test knows that they
// exist.
package doc
