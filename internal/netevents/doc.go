// SPDX-License-Identifier: Apache-2.0

// Package netevents tells that something about the network changed: a link, an
// address or a route came or went. It does not tell what. Whoever waits for the
// network tries again at once instead of sleeping through the moment in which
// it comes up; the try itself finds out whether it was worth it.
//
// The kernel says so on a socket of rtnetlink(7), which needs no privilege.
package netevents
