// SPDX-License-Identifier: Apache-2.0

// Package publish writes the files of /run/imds, which package snapshot reads.
//
// [Build] turns the answers of one collection into a [Snapshot], without any
// I/O: identity.json, meta-data.json, network.json, tags.json, imds.env, and, if
// configured, user-data and signatures.json. Answers that it cannot use are omitted and
// reported as a [Problem].
//
// [OpenDir] locks the directory for one daemon. [Dir.Begin] removes the files that a
// killed daemon or another boot left, [Dir.Publish] writes a complete snapshot, and
// [Dir.WriteStatus] finally writes the status. Every file is written beside its target and renamed,
// so a reader sees the complete old file or the complete new one.
//
// Two rules apply to every *.json. Keys are sorted. A record (an interface, a status, the
// signatures) has all of its keys, with null for an unknown value, whereas a tree
// (meta-data.json, tags.json) omits the keys of absent values. doc/schema has a JSON schema
// for each file.
package publish
