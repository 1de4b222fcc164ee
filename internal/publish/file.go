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
	// Secret means that only the daemon's user can read the file. Other services can
	// get it by LoadCredential=.
	Secret bool
}

// isSecret reports whether a file is secret.
func isSecret(name string) bool {
	return name == snapshot.UserDataFile || name == snapshot.SignaturesFile
}

// Mode returns 0600 for a secret file, and 0644 for any other file.
func (f File) Mode() fs.FileMode {
	if f.Secret {
		return 0o600
	}
	return 0o644
}

// Sum returns the SHA-256 digest of the content in lower-case hexadecimal for status.json.
// It returns nil for a secret file, because a public digest would let any user verify a
// guess of the content.
func (f File) Sum() *string {
	if f.Secret {
		return nil
	}
	sum := sha256.Sum256(f.Data)
	return new(hex.EncodeToString(sum[:]))
}

// Snapshot is the set of files of one collection, as returned by [Build]. It is immutable.
// The zero Snapshot contains only an imds.env with the state.
type Snapshot struct {
	id    string
	files map[string]File
	env   []string
	// omitted is the result of Omitted.
	omitted []string
}

// InstanceID returns the ID of the instance as in imds.env, from the identity document or,
// if that does not have one, from meta-data/instance-id. It is empty if the ID is absent or
// cannot be used.
func (s Snapshot) InstanceID() string { return s.id }

// Omitted returns the names of the variables that imds.env omits because their value has
// more than 255 bytes or does not begin with a letter, a digit or a slash. The daemon should
// warn about them.
func (s Snapshot) Omitted() []string { return s.omitted }

// order returns the file names in the order in which the files are written. identity.json is
// last, so that units that wait for it find all other files.
func order() []string {
	return []string{
		snapshot.UserDataFile, snapshot.SignaturesFile, snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.TagsFile,
		snapshot.EnvFile, snapshot.IdentityFile,
	}
}

// Files yields the names and the files in the order in which they must be written.
// status.json is not included, because it is written after them. A file without content is
// omitted. The state, such as [snapshot.Ready], becomes IMDS_STATE.
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
