// SPDX-License-Identifier: Apache-2.0

// Package snapshot reads the files of /run/imds, which imds-ready writes.
//
// No function needs a lock. [Wait] blocks until the gate is decided, [Open] and
// [Values.Lookup] read values, and [ReadStatus] returns the state of the gate. [Wait] and
// [Open] require a boot ID, such as [BootID], because the files of another boot may
// belong to another instance. Every file is replaced atomically, so a reader never
// sees a partial file.
//
// imds-ready-files(5) describes the files, and doc/schema has a JSON schema for each
// *.json.
package snapshot

// The names of the files. In status.json, the daemon reports its own state; the other
// files contain the answers of IMDS.
const (
	StatusFile     = "status.json"
	IdentityFile   = "identity.json"
	MetaDataFile   = "meta-data.json"
	NetworkFile    = "network.json"
	TagsFile       = "tags.json"
	EnvFile        = "imds.env"
	UserDataFile   = "user-data"
	SignaturesFile = "signatures.json"
)
