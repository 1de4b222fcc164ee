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

// Values is the content of the files of a directory at one moment. It does not
// change, may be used by several goroutines at once and need not be closed. [Open]
// makes it.
type Values struct {
	status             Status
	identity, metaData source
}

// source is one file: its text, which is one JSON object, or nil if there is no file.
type source struct {
	text []byte
	err  error
}

// maxOpens bounds how often Open reads the files while they are being replaced.
const maxOpens = 10

// Open reads status.json, identity.json and meta-data.json in dir, such as
// /run/imds, for the boot that bootID names: [BootID], or [AnyBoot]. It needs no
// lock. The errors are those of [ReadStatusJSON]. A gate that is not decided, or
// has failed, is not an error: look at Status. Files of an earlier run in this boot
// may exist even so.
//
// All values are of one moment. A file that a run is replacing, or whose replacement
// was cut short, gives [ErrReplaced] until the gate is decided. If another collection or
// another run replaced status.json meanwhile, Open reads everything again, 10 times at
// most.
func Open(dir, bootID string) (*Values, error) { return open(dir, bootID, func() {}) }

// open is Open; tests publish in between.
func open(dir, bootID string, between func()) (*Values, error) {
	// The status comes first: the daemon removes the files of another boot before it
	// writes a status of this one.
	before, _, err := ReadStatusJSON(dir, bootID)
	if err != nil {
		return nil, err
	}
	for range maxOpens {
		between()
		v, err := readValues(dir)
		if err != nil {
			return nil, err
		}
		if v.status, _, err = ReadStatusJSON(dir, bootID); err != nil {
			return nil, err
		}
		if sameCollection(before, v.status) {
			v.identity = v.identity.vouched(v.status, dir, IdentityFile)
			v.metaData = v.metaData.vouched(v.status, dir, MetaDataFile)
			return v, nil
		}
		before = v.status
	}
	return nil, fmt.Errorf("reading %s: the files were replaced %d times meanwhile", dir, maxOpens)
}

// vouched is the file if the status vouches for it. While a gate waits, a daemon may
// be replacing the files one by one, or was killed meanwhile: then a file that does not
// have the digest of the status is [ErrReplaced].
func (s source) vouched(st Status, dir, name string) source {
	if st.State != Waiting || s.text == nil {
		return s
	}
	sum := sha256.Sum256(s.text)
	if want := st.Files[name]; want == nil || *want != hex.EncodeToString(sum[:]) {
		return source{err: fmt.Errorf("reading %s: %w", filepath.Join(dir, name), ErrReplaced)}
	}
	return s
}

// sameCollection reports whether two statuses are of one run and list the files of
// one collection.
func sameCollection(a, b Status) bool {
	sameTime := func(x, y *time.Time) bool { return x == nil && y == nil || x != nil && y != nil && x.Equal(*y) }
	return a.BootID == b.BootID && a.Generation == b.Generation && sameTime(a.StartedAt, b.StartedAt)
}

// readValues reads the files once, all in the same directory.
func readValues(dir string) (*Values, error) {
	f, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	defer f.Close()
	return &Values{identity: readObject(f, dir, IdentityFile), metaData: readObject(f, dir, MetaDataFile)}, nil
}

// readObject reads a file that must be one JSON object.
func readObject(dir *os.File, path, name string) source {
	text, _, err := atomicfile.Read(dir, name, maxRead)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return source{}
	case errors.Is(err, atomicfile.ErrNotRegular):
		err = fmt.Errorf("%w: %w", ErrNotOurs, err)
	case err != nil:
	case !nestedWithin(text, maxNesting):
		err = fmt.Errorf("%w: it is nested more than %d deep", ErrNotOurs, maxNesting)
	case !json.Valid(text):
		err = fmt.Errorf("%w: %w", ErrNotOurs, json.Unmarshal(text, &struct{}{}))
	case !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")):
		err = fmt.Errorf("%w: it is not an object", ErrNotOurs)
	default:
		return source{text: text}
	}
	return source{err: fmt.Errorf("reading %s: %w", filepath.Join(path, name), err)}
}

// Status is the status that the files were read under.
func (v *Values) Status() Status { return v.status }

// Lookup returns the value of a key: a path below meta-data, with or without that
// prefix, such as "placement/region"; "identity" and below for the identity
// document, such as "identity/accountId"; deeper into a JSON document by its keys,
// and into an array by index, from 0. A directory or an object is a map[string]any,
// an array []any, a number [json.Number], and the rest string and bool. null counts
// as absent.
//
// An error is a *[KeyError] if there is no such key, matches [ErrBadKey] or
// [ErrNotOurs], or is the file system's.
func (v *Values) Lookup(key string) (any, error) {
	text, err := v.LookupJSON(key)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // a number stays as it is written
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", key, err)
	}
	return value, nil
}

// LookupJSON is [Values.Lookup] for the JSON of a value, as it is in the file, without
// the indentation that it has there. It takes little memory however large the value is.
func (v *Values) LookupJSON(key string) (json.RawMessage, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	segs, isIdentity := inIdentity(segments(key))
	src := v.source(isIdentity)
	if src.err != nil {
		return nil, src.err
	}
	if src.text != nil {
		if value := find(src.text, segs); value != nil {
			indent := "\n" + strings.Repeat("  ", len(segs))
			return bytes.ReplaceAll(value, []byte(indent), []byte("\n")), nil
		}
	}
	return nil, v.absent(key)
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
	// Class is why the daemon could not fetch it, from `missing` or `required` in
	// status.json. It is empty if IMDS has no such path, as for a required one that
	// was last answered with 404.
	Class string
	// Path is the entry in status.json that Class is of: the key's path, the JSON
	// document that the key would be in, or, with a final slash, a listing above it.
	// After a failed listing it is unknown whether IMDS has the key.
	Path string
	// Credentials is true for credentials, which are in no file.
	Credentials bool
}

func (e *KeyError) Error() string {
	text := fmt.Sprintf("no such key: %q", e.Key)
	if e.Credentials {
		return text + ": credentials are in no file, ask IMDS"
	}
	if e.Class != "" {
		return fmt.Sprintf("%q: %s could not be fetched: %s", e.Key, e.Path, e.Class)
	}
	return text
}

// classAbsent is the class of a required path that IMDS does not have. In `missing`
// it means that IMDS listed the path and yet did not serve it.
const classAbsent = "404"

// absent explains why there is no key.
func (v *Values) absent(key string) *KeyError {
	path := belowVersion(key)
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

// maxListed is the length in bytes of the longest key that is listed: the longest key
// of a tag fits. With keys of 4 KiB, a file of 8 MiB could have a list of 3 GiB.
const maxListed = 640

// List returns the keys below key, or all for "", the identity document's first:
// in the order of the files, which are sorted, in the form in which Lookup takes them,
// a directory or an object with a final slash and followed by what is in it. An array
// is one key. A key that can have nothing below it is returned itself. Keys of 640
// bytes or more are left out. The errors are those of Lookup; for "", a file that cannot
// be read is one.
func (v *Values) List(key string) ([]string, error) {
	var keys []string
	err := v.Walk(key, func(key string) error {
		keys = append(keys, key)
		return nil
	})
	return keys, err
}

// Walk calls visit with each key that [Values.List] would return. If visit returns
// [fs.SkipDir], Walk skips what is in that directory or object; if [fs.SkipAll], it ends
// without an error, and with any other error it returns that.
func (v *Values) Walk(key string, visit func(key string) error) error {
	w := &walker{visit: visit}
	if key == "" {
		if err := errors.Join(v.identity.err, v.metaData.err); err != nil {
			return err
		}
		if v.identity.text != nil && w.one(identityRoot+"/") && !w.object(&scanner{text: v.identity.text}, identityRoot+"/", 1) {
			return w.result()
		}
		if v.metaData.text != nil && w.err == nil {
			w.object(&scanner{text: v.metaData.text}, "", 0)
		}
		return w.result()
	}
	if _, err := v.LookupJSON(key); err != nil {
		return err
	}
	segs, isIdentity := inIdentity(segments(key))
	value := find(v.source(isIdentity).text, segs)
	name, prefix := keyName(segs, isIdentity), ""
	if isIdentity || len(segs) > 0 {
		prefix = name + "/"
	}
	if value[0] != '{' {
		w.one(name)
	} else {
		w.object(&scanner{text: value}, prefix, len(segs))
	}
	return w.result()
}

// walker is one Walk. Once err is set, it visits no more keys.
type walker struct {
	visit func(string) error
	err   error
}

// one visits a key, and reports whether to go on in it.
func (w *walker) one(key string) bool {
	err := w.visit(key)
	if !errors.Is(err, fs.SkipDir) {
		w.err = err
	}
	return err == nil
}

func (w *walker) result() error {
	if errors.Is(w.err, fs.SkipAll) {
		return nil
	}
	return w.err
}

// object visits the keys of the object that comes next, whose own key is prefix with
// depth segments, and reports whether to go on behind it. It leaves out null, and
// names that cannot be in a key.
func (w *walker) object(s *scanner, prefix string, depth int) bool {
	return s.members(func(seg string) bool {
		kind := s.peek()
		name := ""
		if kind != 'n' && depth < maxKeySegments-1 && usableSegment(seg) && len(prefix)+len(seg) < maxListed {
			name = prefix + seg
			if prefix == "" {
				name = keyName([]string{seg}, false)
			}
		}
		switch {
		case name == "":
			s.skip()
		case kind != '{':
			s.skip()
			w.one(name)
		case w.one(name + "/"):
			w.object(s, name+"/", depth+1)
		default:
			s.skip()
		}
		return w.err == nil
	})
}

// keyName is the shortest key that means segs.
func keyName(segs []string, isIdentity bool) string {
	name := strings.Join(segs, "/")
	if isIdentity {
		return strings.TrimSuffix(identityRoot+"/"+name, "/")
	}
	switch {
	case len(segs) == 0:
		return metaDataRoot
	case segs[0] == identityRoot, segs[0] == metaDataRoot, segs[0] == "dynamic":
		return metaDataRoot + "/" + name // without it, this would be another key
	}
	return name
}
