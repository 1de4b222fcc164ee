// SPDX-License-Identifier: Apache-2.0

package main

// Main is main, for the black-box tests in package main_test, which use the
// program as a user does.
func Main() { main() }
