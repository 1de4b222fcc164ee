// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// source is one file: its object, which is nil if there is no file.
type source struct {
	object map[string]any
	err    error
}

// maxOpens bounds how often Open reads the files while they are being replaced.
const maxOpens = 10

// Open reads status.json, identity.json and meta-data.json in dir, such as
// /run/imds, for the boot that bootID names: [BootID], or [AnyBoot]. It needs no
// lock. The errors are those of [ReadStatusJSON]. A gate that is not decided, or
// has failed, is not an error: look at Status. Files of an earlier run in this boot
// may exist even so.
//
// All values are of one moment: if another collection or another run replaced
// status.json meanwhile, Open reads everything again, 10 times at most.
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
			return v, nil
		}
		before = v.status
	}
	return nil, fmt.Errorf("reading %s: the files were replaced %d times meanwhile", dir, maxOpens)
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

// readObject reads a file that has one JSON object.
func readObject(dir *os.File, path, name string) source {
	data, _, err := atomicfile.Read(dir, name, maxRead)
	if errors.Is(err, fs.ErrNotExist) {
		return source{}
	}
	var object map[string]any
	switch {
	case errors.Is(err, atomicfile.ErrNotRegular):
		err = fmt.Errorf("%w: %w", ErrNotOurs, err)
	case err == nil:
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber() // a number stays as it is written
		if err = dec.Decode(&object); err == nil {
			_, err = dec.Token()
		}
		switch {
		case err == nil:
			err = fmt.Errorf("%w: more than one value", ErrNotOurs)
		case !errors.Is(err, io.EOF):
			err = fmt.Errorf("%w: %w", ErrNotOurs, err)
		case object == nil:
			err = fmt.Errorf("%w: no object in it", ErrNotOurs)
		default:
			return source{object: object}
		}
	}
	return source{err: fmt.Errorf("reading %s: %w", filepath.Join(path, name), err)}
}

// Status is the status that the files were read under.
func (v *Values) Status() Status { return v.status }

// Lookup returns the value of a key: a path below meta-data, with or without that
// prefix, such as "placement/region"; "identity" and below for the identity
// document, such as "identity/accountId"; deeper into a JSON document by its keys,
// and into an array by index, from 0. A directory or an object is a map[string]any,
// an array []any, a number [json.Number], and the rest string and bool; maps and
// arrays are not to be changed. null counts as absent.
//
// An error is a *[KeyError] when there is no such key, matches [ErrBadKey] or
// [ErrNotOurs], or is the file system's.
func (v *Values) Lookup(key string) (any, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	segs, isIdentity := inIdentity(segments(key))
	src := v.metaData
	if isIdentity {
		src = v.identity
	}
	if src.err != nil {
		return nil, src.err
	}
	if src.object != nil {
		if value := descend(src.object, segs); value != nil {
			return value, nil
		}
	}
	return nil, v.absent(key)
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

// descend follows the segments of a key, and returns nil if there is nothing.
func descend(value any, segs []string) any {
	for _, seg := range segs {
		switch node := value.(type) {
		case map[string]any:
			value = node[seg]
		case []any:
			i, err := strconv.ParseUint(seg, 10, 31)
			if err != nil || seg != strconv.FormatUint(i, 10) || int(i) >= len(node) {
				return nil
			}
			value = node[i]
		default:
			return nil
		}
	}
	return value
}

// List returns the keys below key, or all for "", the identity document's first:
// sorted, in the form in which Lookup takes them, a directory or an object with a
// final slash and followed by what is in it. An array is one key. A key that can
// have nothing below it is returned itself. The errors are those of Lookup; for "", a file that cannot be read is one.
func (v *Values) List(key string) ([]string, error) {
	if key != "" {
		value, err := v.Lookup(key)
		if err != nil {
			return nil, err
		}
		segs, isIdentity := inIdentity(segments(key))
		name, prefix := keyName(segs, isIdentity), ""
		if isIdentity || len(segs) > 0 {
			prefix = name + "/"
		}
		object, isObject := value.(map[string]any)
		if !isObject {
			return []string{name}, nil
		}
		return appendKeys(nil, prefix, len(segs), object), nil
	}
	if err := errors.Join(v.identity.err, v.metaData.err); err != nil {
		return nil, err
	}
	var keys []string
	if v.identity.object != nil {
		keys = appendKeys([]string{identityRoot + "/"}, identityRoot+"/", 1, v.identity.object)
	}
	return append(keys, appendKeys(nil, "", 0, v.metaData.object)...), nil
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

// appendKeys appends the keys of object, whose own key is prefix with depth
// segments. What no key can name is left out, and so is null.
func appendKeys(keys []string, prefix string, depth int, object map[string]any) []string {
	if depth >= maxKeySegments-1 { // one for a prefix of meta-data/
		return keys
	}
	for _, seg := range slices.Sorted(maps.Keys(object)) {
		name := prefix + seg
		if prefix == "" {
			name = keyName([]string{seg}, false)
		}
		value := object[seg]
		if value == nil || !usableSegment(seg) || len(name) >= maxKeyBytes {
			continue
		}
		below, isObject := value.(map[string]any)
		if !isObject {
			keys = append(keys, name)
			continue
		}
		keys = appendKeys(append(keys, name+"/"), name+"/", depth+1, below)
	}
	return keys
}
