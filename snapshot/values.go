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
)

// Values is what the files of a directory said at one moment. It does not change,
// may be used by several goroutines at once and need not be closed. [Open] makes it.
type Values struct {
	status             Status
	identity, metaData source
}

// source is one file: its object, nil when there is no file.
type source struct {
	object map[string]any
	err    error
}

// Open reads status.json, identity.json and meta-data.json in dir, such as
// /run/imds, for the boot that bootID names: [BootID], or [AnyBoot]. It needs no
// lock. The errors are those of [ReadStatusJSON]. A gate that is not decided, or
// has failed, is no error: look at Status. Files of this boot may be there even so,
// of a run before.
func Open(dir, bootID string) (*Values, error) {
	// The status first: the daemon removes the files of another boot before it
	// writes a status of this one.
	st, _, err := ReadStatusJSON(dir, bootID)
	if err != nil {
		return nil, err
	}
	f, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	defer f.Close()
	return &Values{
		status:   st,
		identity: readObject(f, dir, IdentityFile),
		metaData: readObject(f, dir, MetaDataFile),
	}, nil
}

// readObject reads a file that has one JSON object.
func readObject(dir *os.File, path, name string) source {
	data, _, err := readRegular(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return source{}
	}
	var object map[string]any
	switch {
	case errors.Is(err, errNotRegular):
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

// descend follows the segments of a key; nil: there is nothing.
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
