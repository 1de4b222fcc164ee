// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"iter"
)

// The names of the files. The first is the daemon's report on itself; the others
// are what IMDS said.
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

// File is the content of one file.
type File struct {
	// Data is everything in it.
	Data []byte
	// Secret files are for the daemon's own user; other services take them with
	// LoadCredential=.
	Secret bool
}

// Mode is 0600 for a secret file, else 0644.
func (f File) Mode() fs.FileMode {
	if f.Secret {
		return 0o600
	}
	return 0o644
}

// Sum is the SHA-256 of the content in lower-case hexadecimal, as status.json
// lists it, and nil for a secret file: a digest would let anybody test a guess.
func (f File) Sum() *string {
	if f.Secret {
		return nil
	}
	sum := sha256.Sum256(f.Data)
	return new(hex.EncodeToString(sum[:]))
}

// Snapshot is what one collection found, ready to be written. The zero Snapshot
// holds nothing: its only file is an imds.env with the state. [Build] makes it;
// it is not changed afterwards.
type Snapshot struct {
	kept  []string // files that stay as they are
	id    string
	files map[string]File
	env   []string
}

// InstanceID is the instance's ID, as in imds.env: from the identity document,
// else from meta-data/instance-id, and "" when neither has one that is clean.
func (s Snapshot) InstanceID() string { return s.id }

// order is the order in which files are written. identity.json stands after the
// files that it vouches for: units assert that it exists, and may watch for it.
func order() []string {
	return []string{
		UserDataFile, SignaturesFile, MetaDataFile, NetworkFile, TagsFile, IdentityFile, EnvFile,
	}
}

// Files yields the files in the order in which they are to be written, imds.env
// last; status.json, which follows them all, is not among them. A file that the
// collection has no content for is left out. state is one of [Ready],
// [Degraded], [Skipped] and so on, and becomes IMDS_STATE.
func (s Snapshot) Files(state string) iter.Seq2[string, File] {
	return func(yield func(string, File) bool) {
		for _, name := range order() {
			f, ok := s.files[name]
			if name == EnvFile {
				f, ok = envFile(state, s.env), true
			}
			if ok && !yield(name, f) {
				return
			}
		}
	}
}
