// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"iter"

	"github.com/imds-ready/imds-ready/snapshot"
)

// File is the content of one file.
type File struct {
	Data []byte
	// Secret files are for the daemon's own user; other services take them with
	// LoadCredential=.
	Secret bool
}

// isSecret reports whether a file is secret.
func isSecret(name string) bool {
	return name == snapshot.UserDataFile || name == snapshot.SignaturesFile
}

// Mode is 0600 for a secret file, else 0644.
func (f File) Mode() fs.FileMode {
	if f.Secret {
		return 0o600
	}
	return 0o644
}

// Sum is the SHA-256 of the content in lower-case hexadecimal, as status.json
// lists it, and nil for a secret file: with a digest, anybody could test a guess.
func (f File) Sum() *string {
	if f.Secret {
		return nil
	}
	sum := sha256.Sum256(f.Data)
	return new(hex.EncodeToString(sum[:]))
}

// Snapshot is the result of one collection, ready to be written. The zero Snapshot
// contains only an imds.env with the state. [Build] makes it; it is not changed
// afterwards.
type Snapshot struct {
	id    string
	files map[string]File
	env   []string
	// omitted are the names of variables that imds.env does not have.
	omitted []string
}

// InstanceID is the instance's ID, as in imds.env: from the identity document,
// else from meta-data/instance-id. It is empty if neither has a plain one.
func (s Snapshot) InstanceID() string { return s.id }

// Omitted returns the names of the variables that imds.env leaves out because their
// value has more than 255 bytes or does not begin with a letter, a digit or a slash.
// The operator should hear of them.
func (s Snapshot) Omitted() []string { return s.omitted }

// order is the order in which the files are written. identity.json is last: units
// that are released when it appears find everything else in place.
func order() []string {
	return []string{
		snapshot.UserDataFile, snapshot.SignaturesFile, snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.TagsFile,
		snapshot.EnvFile, snapshot.IdentityFile,
	}
}

// Files yields the files in the order in which they are to be written, except
// status.json, which follows them. A file that the collection has no content for is
// left out. The state, such as [snapshot.Ready], becomes IMDS_STATE.
func (s Snapshot) Files(state string) iter.Seq2[string, File] {
	return func(yield func(string, File) bool) {
		for _, name := range order() {
			f, ok := s.files[name]
			if name == snapshot.EnvFile {
				f, ok = envFile(state, s.env), true
			}
			if ok && !yield(name, f) {
				return
			}
		}
	}
}
