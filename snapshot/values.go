// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/internal/paths"
)

// Values is the content of the files of a directory at one moment, as read by [Open].
// It is immutable, safe for concurrent use, and need not be closed.
type Values struct {
	status             Status
	identity, metaData source
}

// source is one file: its text, which is one JSON object, or nil if the file does not
// exist, or the error of reading it.
type source struct {
	text []byte
	err  error
}

// maxReads is how often Open reads the files before it gives up because they are
// replaced each time.
const maxReads = 10

// replaceTime is how long Open waits before it reads again because a file is not the one
// that status.json lists: a refresh replaces the files within a few milliseconds.
const replaceTime = 5 * time.Millisecond

// Open reads status.json, identity.json and meta-data.json in dir, such as /run/imds.
// bootID is [BootID] or [AnyBoot]. Open needs no lock, and its errors are those of
// [ReadStatusJSON]. It is not an error if the gate is still waiting or has failed, which
// [Values.Status] shows: the values are then those of an earlier run in this boot, if
// there was one.
//
// All values are from the same moment. If status.json changes to that of another
// collection or run while Open reads, or if a file does not have the digest in it because
// a refresh is replacing the files, Open reads everything again, at most 10 times. If the
// digest still differs, because a refresh was killed meanwhile, the file is used as it is.
// While the status is [Waiting], values of a file without a matching digest in it are
// [ErrReplaced].
func Open(dir, bootID string) (*Values, error) { return open(dir, bootID, func() {}) }

// open implements Open. Tests use between to change the files while they are read.
func open(dir, bootID string, between func()) (*Values, error) {
	// Check the boot before reading any other file: the daemon removes the files of
	// another boot before it writes a status of this one.
	before, _, err := ReadStatusJSON(dir, bootID)
	if err != nil {
		return nil, err
	}
	for try := range maxReads {
		between()
		v, err := readValues(dir)
		if err != nil {
			return nil, err
		}
		if v.status, _, err = ReadStatusJSON(dir, bootID); err != nil {
			return nil, err
		}
		switch {
		case !sameCollection(before, v.status):
		case v.status.State != Waiting && try < maxReads-1 && (v.identity.differs(v.status, IdentityFile) || v.metaData.differs(v.status, MetaDataFile)):
			time.Sleep(replaceTime)
		default:
			v.identity = v.identity.verified(v.status, dir, IdentityFile)
			v.metaData = v.metaData.verified(v.status, dir, MetaDataFile)
			return v, nil
		}
		before = v.status
	}
	return nil, fmt.Errorf("reading %s: gave up, because the files were replaced during each of %d reads", dir, maxReads)
}

// verified returns s, or [ErrReplaced] if st is [Waiting] and does not list the digest of
// the file, or lists a collection without it.
func (s source) verified(st Status, dir, name string) source {
	if st.State != Waiting || s.err != nil || s.text == nil && st.Generation == 0 {
		return s
	}
	if st.Files[name] == nil || s.differs(st, name) {
		return source{err: fmt.Errorf("reading %s: %w", filepath.Join(dir, name), ErrReplaced)}
	}
	return s
}

// differs reports whether st lists the digest of another content for the file.
func (s source) differs(st Status, name string) bool {
	want := st.Files[name]
	if want == nil || s.err != nil {
		return false
	}
	sum := sha256.Sum256(s.text)
	return *want != hex.EncodeToString(sum[:])
}

// sameCollection reports whether two statuses belong to the same run and the same
// collection.
func sameCollection(a, b Status) bool {
	sameTime := func(x, y *time.Time) bool { return x == nil && y == nil || x != nil && y != nil && x.Equal(*y) }
	return a.BootID == b.BootID && a.Generation == b.Generation && sameTime(a.StartedAt, b.StartedAt)
}

// readValues reads the files once. It opens the directory, so that all files are from
// the same one even if it is replaced meanwhile.
func readValues(dir string) (*Values, error) {
	f, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	defer f.Close()
	return &Values{identity: readObject(f, dir, IdentityFile), metaData: readObject(f, dir, MetaDataFile)}, nil
}

// readObject reads a file, which must contain one JSON object.
func readObject(dir *os.File, path, name string) source {
	text, _, err := atomicfile.Read(dir, name, MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return source{}
	case errors.Is(err, atomicfile.ErrNotRegular):
		err = fmt.Errorf("%w: %w", ErrNotOurs, err)
	case err != nil:
	case !nestedWithin(text, maxNesting):
		err = fmt.Errorf("%w: must have at most %d levels of objects and arrays", ErrNotOurs, maxNesting)
	case !json.Valid(text):
		err = fmt.Errorf("%w: %w", ErrNotOurs, json.Unmarshal(text, &struct{}{}))
	case !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")):
		err = fmt.Errorf("%w: must be a JSON object", ErrNotOurs)
	default:
		return source{text: text}
	}
	return source{err: fmt.Errorf("reading %s: %w", filepath.Join(path, name), err)}
}

// Status returns the status that was read together with the values.
func (v *Values) Status() Status { return v.status }

// Lookup returns the value of a key. A key is a path below meta-data, with or without
// that prefix, such as "placement/region", or a path in the identity document, such as
// "identity/accountId". Further segments select members of a JSON document by name and
// items of an array by index, starting at 0.
//
// A directory or a JSON object is returned as a map[string]any, an array as []any, a
// number as [json.Number], and other values as string or bool. A null counts as absent.
//
// An error is a *[KeyError] if the key does not exist, matches [ErrBadKey] or
// [ErrNotOurs], or is an error of the file system.
func (v *Values) Lookup(key string) (any, error) {
	text, err := v.LookupJSON(key)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // preserves the digits of the file
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", key, err)
	}
	return value, nil
}

// LookupJSON is like [Values.Lookup], but returns the JSON of the value as in the file,
// indented as a document of its own. It needs little memory, even for a large value.
func (v *Values) LookupJSON(key string) (json.RawMessage, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	at := newPosition(key)
	src := v.source(at.identity)
	if src.err != nil {
		return nil, src.err
	}
	if src.text != nil {
		if value := find(src.text, at.segs); value != nil {
			return outdented(value, len(at.segs)), nil
		}
	}
	return nil, v.absent(key)
}

// outdented returns the JSON of a value that is depth levels deep in a file as in a document
// of its own.
func outdented(value []byte, depth int) []byte {
	indent := "\n" + strings.Repeat("  ", depth)
	return bytes.ReplaceAll(value, []byte(indent), []byte("\n"))
}

func (v *Values) source(isIdentity bool) source {
	if isIdentity {
		return v.identity
	}
	return v.metaData
}

// KeyError means that a key has no value in the files.
type KeyError struct {
	// Key is the key that was looked up.
	Key string
	// Class is the error class with which the daemon failed to fetch the key, from
	// `missing` or `required` in status.json, or that of the file of a watched path. It
	// is empty if IMDS does not have the path, including a required path that was last
	// answered with 404.
	Class string
	// Path is the entry in status.json or in watch/status.json that Class belongs to: the
	// path of the key, that of the JSON document that would contain it, or, with a final
	// slash, that of a listing above it. After a failed listing it is unknown whether IMDS
	// has the key.
	Path string
	// Credentials is true if the key names credentials, which are never written to a
	// file.
	Credentials bool
	// Watched is true if `imds-ready watch` knows that IMDS does not have the key now.
	Watched bool
}

func (e *KeyError) Error() string {
	text := fmt.Sprintf("no such key: %q", e.Key)
	if e.Credentials {
		return text + ": credentials are never written to files: request them from IMDS"
	}
	if e.Class != "" {
		return fmt.Sprintf("%q: %s could not be fetched: %s", e.Key, e.Path, e.Class)
	}
	return text
}

// classAbsent is the class of a required path that IMDS does not have. In `missing`,
// it means that IMDS listed the path but did not serve it.
const classAbsent = "404"

// absent returns the reason why a key does not exist.
func (v *Values) absent(key string) *KeyError {
	path := imdsPath(key)
	if paths.IsCredentials(path) {
		return &KeyError{Key: key, Credentials: true}
	}
	for {
		for _, at := range []string{path, path + "/"} {
			if class, ok := v.status.Missing[at]; ok {
				return &KeyError{Key: key, Class: class, Path: at}
			}
			if r, ok := v.status.Required[at]; ok && !r.OK && r.Class != nil && *r.Class != classAbsent {
				return &KeyError{Key: key, Class: *r.Class, Path: at}
			}
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return &KeyError{Key: key}
		}
		path = path[:i]
	}
}

// maxListed is the limit in bytes for the length of listed keys: only shorter keys are
// listed. The longest possible key of a tag is shorter. Without the limit, the list of an
// 8 MiB file could take 3 GiB, since a key may have 4 KiB.
const maxListed = 640

// List returns the keys below key, in the order of the files, which are sorted. If key is
// empty, it returns all keys, those of the identity document first. Each key is valid for
// Lookup. A directory or an object has a final slash and is followed by the keys in it; an
// array is one key. If key is not a directory or an object, List returns key itself, in
// its shortest form. Keys of 640 bytes or more are omitted. The errors are those of Lookup;
// if key is empty, a file that cannot be read is an error.
func (v *Values) List(key string) ([]string, error) {
	var keys []string
	err := v.Walk(key, func(key string) error {
		keys = append(keys, key)
		return nil
	})
	return keys, err
}

// Walk calls visit with each key that [Values.List] would return. If visit returns
// [fs.SkipDir], Walk skips the keys in that directory or object. If visit returns
// [fs.SkipAll], Walk returns nil at once, and after any other error it returns that error.
func (v *Values) Walk(key string, visit func(key string) error) error {
	w := &walker{visit: visit}
	if key == "" {
		if err := errors.Join(v.identity.err, v.metaData.err); err != nil {
			return err
		}
		if v.identity.text != nil && w.visitKey(identityRoot+"/") && !w.object(&scanner{text: v.identity.text}, identityRoot+"/", 1) {
			return unlessAll(w.err)
		}
		if v.metaData.text != nil && w.err == nil {
			w.object(&scanner{text: v.metaData.text}, "", 0)
		}
		return unlessAll(w.err)
	}
	if _, err := v.LookupJSON(key); err != nil {
		return err
	}
	at := newPosition(key)
	return unlessAll(walkValue(find(v.source(at.identity).text, at.segs), at, visit))
}

// unlessAll returns err, or nil if it is [fs.SkipAll].
func unlessAll(err error) error {
	if errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// walkValue visits the keys in the value of a key, or the key itself if the value is not an
// object. Unlike that of Walk, its error may be [fs.SkipAll].
func walkValue(value []byte, at position, visit func(key string) error) error {
	w := &walker{visit: visit}
	name, prefix := at.key(), ""
	if at.identity || len(at.segs) > 0 {
		prefix = name + "/"
	}
	if value[0] != '{' {
		w.visitKey(name)
	} else {
		w.object(&scanner{text: value}, prefix, len(at.segs))
	}
	return w.err
}

// walker is the state of one Walk. Once err is set, it visits no more keys.
type walker struct {
	visit func(string) error
	err   error
}

// visitKey visits a key and reports whether to visit the keys in it.
func (w *walker) visitKey(key string) bool {
	err := w.visit(key)
	if !errors.Is(err, fs.SkipDir) {
		w.err = err
	}
	return err == nil
}

// object visits the keys in the next object, whose own key is prefix and has depth
// segments. It omits nulls and names that cannot be in a key. It reports whether the walk
// continues after the object.
func (w *walker) object(s *scanner, prefix string, depth int) bool {
	return s.members(func(seg string) bool {
		kind := s.peek()
		name := ""
		if kind != 'n' && depth < maxKeySegments-1 && usableSegment(seg) && len(prefix)+len(seg) < maxListed {
			name = prefix + seg
			if prefix == "" {
				name = position{segs: []string{seg}}.key()
			}
		}
		switch {
		case name == "":
			s.skip()
		case kind != '{':
			s.skip()
			w.visitKey(name)
		case w.visitKey(name + "/"):
			w.object(s, name+"/", depth+1)
		default:
			s.skip()
		}
		return w.err == nil
	})
}
