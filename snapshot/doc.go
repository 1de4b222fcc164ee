// SPDX-License-Identifier: Apache-2.0

// Package snapshot is the files of /run/imds, written and read.
//
// [Build] turns the answers of one collection into a [Snapshot], without any
// I/O: identity.json, meta-data.json, network.json, tags.json, imds.env, and on
// request user-data and signatures.json. What it cannot use it leaves out and
// names in a [Problem].
//
// [OpenDir] takes the directory: one daemon at a time, by a lock on the
// directory itself. [Dir.Begin] clears what a killed daemon or another boot has
// left, [Dir.Publish] writes a whole snapshot, and [Dir.WriteStatus] says last
// how it went. Every file is written beside its target and renamed, so a reader
// sees the old file or the new one, never half of one.
//
// Two rules hold in every *.json: keys are sorted, and a record (an interface, a
// status, the signatures) has all of its keys, null where nothing is known,
// while a tree (meta-data.json, tags.json) has no key for what is absent. The
// schemas in doc/schema say the rest.
//
// A program that only reads needs no lock: [Wait] blocks until the gate is decided,
// [Open] and [Values.Lookup] read values, and [ReadStatus] tells the state of the
// gate. All but the last want a boot ID, such as [BootID], as the files of another
// boot may be those of another instance.
package snapshot
