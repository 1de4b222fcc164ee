// SPDX-License-Identifier: Apache-2.0

// Package watch asks IMDS for a few paths, again and again, and keeps each of them in a
// file: [Watcher]. A round asks for every path once. One goroutine writes the files,
// feeds systemd's watchdog and decides when the next round begins (watch.go); it remembers
// for each path how the last request went (state.go). The requests of a round run beside
// it (round.go). The directory belongs to one process (directory.go).
package watch
