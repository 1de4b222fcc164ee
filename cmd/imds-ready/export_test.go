// SPDX-License-Identifier: Apache-2.0

package main

// Main is main, for the black-box tests, which are a package of their own: they
// see the program as anybody does.
func Main() { main() }
