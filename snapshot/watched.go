// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/internal/paths"
)

// WatchDir is the directory of `imds-ready watch` in the directory of the files. It
// contains a status.json of its own and, while a watched path exists, a file with the
// path's body, such as watch/meta-data/spot/instance-action.
const WatchDir = "watch"

// MaxWatched is the maximum size in bytes of a file in [WatchDir]. A larger body is never
// written.
const MaxWatched = 256 << 10

// watchSilent is the age of a watch/status.json from which on its writer counts as dead.
// The writer updates it at least every 60 s.
const watchSilent = 90 * time.Second

// classCannotWrite is the class of a path that IMDS has, and whose file cannot be written.
const classCannotWrite = "cannot-write"

// ErrNotWatched means that a key is not below a path that `imds-ready watch` has asked for,
// or that it is not running.
var ErrNotWatched = errors.New("not watched")

// WatchStatus is the content of watch/status.json, which exists only while `imds-ready
// watch` runs, unless it was killed. Fields are declared in the order of their JSON names.
// Every key is always present; a nil pointer is written as null.
type WatchStatus struct {
	// BootID is the result of [BootID] in the program that wrote the file.
	BootID string `json:"boot_id"`
	// Paths contains every watched path, below the version.
	Paths map[string]WatchedPath `json:"paths"`
	// PID is the process ID of the program.
	PID int `json:"pid"`
	// Schema is the version of the format, [SchemaVersion].
	Schema int `json:"schema"`
	// StartedAt is when the program was started.
	StartedAt time.Time `json:"started_at"`
	// UpdatedAt is when this status was made, at most 60 s ago.
	UpdatedAt time.Time `json:"updated_at"`
	// Version is the version of the program.
	Version string `json:"version"`
}

// WatchedPath is the state of one watched path.
type WatchedPath struct {
	// ChangedAt is when the file of the path was last replaced or removed, or nil if that
	// never happened.
	ChangedAt *time.Time `json:"changed_at"`
	// Class is the error class of the last request, "cannot-write" if its answer could not
	// be written, or nil if IMDS answered it with the body of the path, or that it does not
	// exist.
	Class *string `json:"class"`
	// LastAnswerAt is when IMDS last gave such an answer, or nil if it has given none.
	LastAnswerAt *time.Time `json:"last_answer_at"`
	// Present is true if the file of the path exists. IMDS does not have the path if
	// Present is false, Class is nil and LastAnswerAt is not nil: before the first answer,
	// nothing is known.
	Present bool `json:"present"`
}

// ReadWatch reads watch/status.json in dir, such as /run/imds. bootID is [BootID] or
// [AnyBoot]. An error matches [io/fs.ErrNotExist] if `imds-ready watch` does not run,
// [ErrOtherBoot], [ErrNotOurs] or [ErrLaterSchema], or is an error of the file system.
func ReadWatch(dir, bootID string) (WatchStatus, error) {
	name := filepath.Join(dir, WatchDir, StatusFile)
	st, err := readWatch(dir)
	if err == nil && bootID != AnyBoot && (bootID == "" || st.BootID != bootID) {
		err = ErrOtherBoot
	}
	if err != nil {
		return WatchStatus{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return st, nil
}

func readWatch(dir string) (st WatchStatus, err error) {
	f, err := openDirectory(filepath.Join(dir, WatchDir))
	if err != nil {
		return st, err
	}
	defer f.Close()
	data, _, err := atomicfile.Read(f, StatusFile, MaxStatus)
	if errors.Is(err, atomicfile.ErrNotRegular) {
		return st, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return st, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	switch {
	case st.Schema > SchemaVersion:
		return st, ErrLaterSchema
	case st.Schema < 1 || st.BootID == "" || st.PID < 1:
		return st, fmt.Errorf("%w: schema, boot_id or pid is missing", ErrNotOurs)
	}
	return st, nil
}

// Alive reports whether the program that wrote st was still at work when it should have
// been: its process exists, and st is not older than 90 s. Without samePIDs, as in a
// container that sees the files of its host, the process is not looked for.
func (st WatchStatus) Alive(samePIDs bool) bool {
	gone := Status{PID: &st.PID}.ProcessGone()
	return time.Since(st.UpdatedAt) < watchSilent && !(samePIDs && gone)
}

// Normal returns st in the form in which it is written: with times in UTC with
// milliseconds, and Schema set. The result shares no map with st.
func (st WatchStatus) Normal() WatchStatus {
	st.Schema = SchemaVersion
	st.StartedAt, st.UpdatedAt = *inUTC(&st.StartedAt), *inUTC(&st.UpdatedAt)
	st.Paths = notNil(st.Paths)
	for name, p := range st.Paths {
		p.ChangedAt, p.LastAnswerAt = inUTC(p.ChangedAt), inUTC(p.LastAnswerAt)
		st.Paths[name] = p
	}
	return st
}

// LookupJSON returns the JSON of the value of a key at or below a watched path, in the form
// of [Values.LookupJSON], from the file of that path in dir, which is the directory that st
// was read from. If the path has been asked for and does not exist, the error is a
// *[KeyError] whose Watched is true. If the key is not at or below a watched path, or there
// has been no answer yet, it is [ErrNotWatched].
func (st WatchStatus) LookupJSON(dir, key string) (json.RawMessage, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	at, root := newPosition(key), []string{metaDataRoot}
	if at.identity {
		root = segments(paths.Identity)
	}
	full := slices.Concat(root, at.segs)
	for i := range full {
		watched := path.Join(full[:i+1]...)
		if p, ok := st.Paths[watched]; ok {
			return p.lookup(filepath.Join(dir, WatchDir), watched, full[i+1:], key)
		}
	}
	return nil, ErrNotWatched
}

// Walk is like [Values.Walk] with v, except that at and below the watched paths it visits
// the keys that [WatchStatus.LookupJSON] finds in dir.
func (st WatchStatus) Walk(dir string, v *Values, key string, visit func(key string) error) error {
	if key != "" {
		text, err := st.LookupJSON(dir, key)
		switch {
		case err == nil:
			return unlessAll(walkValue(text, newPosition(key), visit))
		case !errors.Is(err, ErrNotWatched):
			return err
		}
	}
	next := st.documents(dir, key)
	if len(next) == 0 {
		return v.Walk(key, visit)
	}
	all, found, stopped := next, false, false
	// before visits the keys of the documents that come before a position, or of all.
	before := func(limit *position) error {
		for len(next) > 0 && (limit == nil || next[0].compare(*limit) < 0) {
			found = found || next[0].text != nil
			if err := next[0].walk(visit); err != nil {
				stopped = true
				return err
			}
			next = next[1:]
		}
		return nil
	}
	err := v.Walk(key, func(key string) error {
		at := newPosition(key)
		if err := before(&at); err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(d document) bool { return d.contains(at) }) {
			return fs.SkipDir
		}
		err := visit(key)
		if !errors.Is(err, fs.SkipDir) {
			stopped = err != nil
			return err
		}
		for len(next) > 0 && at.contains(next[0].position) {
			next = next[1:]
		}
		return err
	})
	if _, absent := errors.AsType[*KeyError](err); stopped || err != nil && !absent {
		return err
	}
	if last := before(nil); last != nil {
		return unlessAll(last)
	}
	if found {
		return nil // the key is a directory by now
	}
	return err
}

// document is the JSON of a watched path that has been asked for, or nil if the path has no
// value.
type document struct {
	position
	text []byte
}

// documents returns the documents below a key, or all, in the order of Walk.
func (st WatchStatus) documents(dir, key string) (below []document) {
	for name := range st.Paths {
		at := newPosition(name)
		if key != "" && !newPosition(key).contains(at) || !at.identity && !strings.HasPrefix(name, paths.MetaData) || st.belowAnother(name) {
			continue
		}
		if text, err := st.LookupJSON(dir, name); !errors.Is(err, ErrNotWatched) {
			below = append(below, document{at, text})
		}
	}
	slices.SortFunc(below, func(a, b document) int { return a.compare(b.position) })
	return below
}

// belowAnother reports whether a path is below another watched path, from whose file
// [WatchStatus.LookupJSON] takes its value.
func (st WatchStatus) belowAnother(name string) bool {
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if _, ok := st.Paths[parent]; ok {
			return true
		}
	}
	return false
}

// walk visits the key of the path and those in its document.
func (d document) walk(visit func(key string) error) error {
	name := d.key()
	if d.text == nil || len(name) >= maxListed {
		return nil
	}
	if d.text[0] == '{' {
		if err := visit(name + "/"); errors.Is(err, fs.SkipDir) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return walkValue(d.text, d.position, visit)
}

// lookup finds the value at segs in the file of a path.
func (p WatchedPath) lookup(dir, name string, segs []string, key string) (json.RawMessage, error) {
	body, err := readBody(dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.LastAnswerAt == nil:
		return nil, ErrNotWatched
	case errors.Is(err, fs.ErrNotExist) && p.Class != nil && *p.Class == classCannotWrite:
		return nil, &KeyError{Key: key, Class: classCannotWrite, Path: name}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &KeyError{Key: key, Watched: true}
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, name), err)
	}
	text, class := valueOf(name, body)
	if class != "" {
		return nil, &KeyError{Key: key, Class: class, Path: name}
	}
	value := find(text, segs)
	if value == nil {
		return nil, &KeyError{Key: key, Watched: true}
	}
	return outdented(value, len(segs)), nil
}

// readBody reads the file of a path.
func readBody(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	parent, err := root.Open(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	body, _, err := atomicfile.Read(parent, path.Base(name), MaxWatched)
	return body, err
}

// valueOf returns the JSON of a body, in the type of its path and in the format of the
// files. If the body is not of that type, it returns the class that `missing` would have.
func valueOf(name string, body []byte) (text []byte, class string) {
	if !utf8.Valid(body) {
		return nil, "not-utf8"
	}
	var value any
	key, _ := strings.CutPrefix(name, paths.MetaData)
	switch {
	case paths.IsDocument(name):
		if !nestedWithin(body, paths.MaxNesting) || !json.Valid(body) {
			return nil, "bad-response"
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber() // preserves the digits
		_ = dec.Decode(&value)
	case paths.KindOf(strings.Split(key, "/")) == paths.Lines:
		value = paths.SplitLines(string(body))
	default:
		value = paths.Chomp(string(body))
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return nil, "bad-response"
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), ""
}
