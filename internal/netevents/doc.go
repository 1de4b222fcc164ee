// SPDX-License-Identifier: Apache-2.0

// Package netevents reports that something about the network changed: a link, an
// address or a route came or went. It does not report which. A program that waits for
// the network can try again at once instead of sleeping while the network comes up.
//
// The events come from a socket of rtnetlink(7), which needs no privilege.
package netevents
