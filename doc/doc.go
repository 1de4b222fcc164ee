// SPDX-License-Identifier: Apache-2.0

// Package doc is the folder of the documentation: manual pages, schemas, drop-ins
// and the demonstration. It has no code. Its tests run the examples of README.md.
//
// A fenced block of README.md is run if its language is sh, python or go. A toml
// block is loaded as a configuration, and an ini block is compared with
// doc/examples. The examples read the files of the simulator's instance, in a
// directory of the test. Indented blocks need a machine of their own and are not
// run; a test only checks that the make targets in them exist. The recipes of
// doc/examples/recipes.md are loaded too, and compared with their headings.
package doc
