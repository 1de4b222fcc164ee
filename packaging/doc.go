// SPDX-License-Identifier: Apache-2.0

// Package packaging is the folder of the packages. It has no code. Its tests compare
// the spec, debian/control and debian/copyright with go.mod and CHANGELOG.md, and the
// workflows of .github with .ci/run and packaging/release.
package packaging
