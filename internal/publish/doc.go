// SPDX-License-Identifier: Apache-2.0

// Package publish writes the files of /run/imds, which package snapshot reads.
//
// [Build] turns the answers of one collection into a [Snapshot], without any
// I/O: identity.json, meta-data.json, network.json, tags.json, imds.env, and on
// request user-data and signatures.json. Answers that it cannot use are left out
// and named in a [Problem].
//
// [OpenDir] locks the directory for one daemon. [Dir.Begin] removes the remains of
// a killed daemon or of another boot, [Dir.Publish] writes a complete snapshot, and
// [Dir.WriteStatus] comes last. Every file is written beside its target and renamed,
// so a reader sees the complete old file or the complete new one.
//
// Two rules hold in every *.json: keys are sorted, and a record (an interface, a
// status, the signatures) has all of its keys, null where a value is unknown, while
// a tree (meta-data.json, tags.json) has no key for an absent value. The schemas in
// doc/schema say the rest.
package publish
