// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Where the files are, below Options.Root.
const (
	mainFile  = "/etc/imds-ready/imds-ready.toml"
	adminDir  = "/etc/imds-ready/imds-ready.toml.d"
	vendorDir = "/usr/lib/imds-ready/imds-ready.toml.d"
	maxFile   = 1 << 20 // bytes; a typical one has 3 KiB
)

// source is one file to read.
type source struct {
	path  string
	named bool // by --config: it may be a pipe, as in --config <(...)
}

// unread is what is beside the files to read.
type unread struct {
	hidden  []string // drop-ins that others of the same name hide
	ignored []string // files whose names are not those of drop-ins
}

// find returns the existing files in the order in which they apply.
func (o Options) find() ([]source, unread, Problems) {
	if o.File != "" {
		found, unread, problems := dropIns(o.File + ".d")
		return append([]source{{path: o.File, named: true}}, found...), unread, problems
	}
	var files []source
	path := filepath.Join(o.Root, mainFile)
	// Lstat, because a dangling link is a mistake, not an absent file.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		files = append(files, source{path: path})
	}
	found, unread, problems := dropIns(filepath.Join(o.Root, vendorDir), filepath.Join(o.Root, adminDir))
	return append(files, found...), unread, problems
}

// dropIns returns the files of the directories in the order of their names; one
// of a later directory replaces one of the same name of an earlier directory.
func dropIns(dirs ...string) (files []source, unread unread, problems Problems) {
	byName := map[string]string{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, unreadable(dir, err))
		}
		for _, e := range entries {
			name, path := e.Name(), filepath.Join(dir, e.Name())
			isTOML, isDot := strings.HasSuffix(name, ".toml"), strings.HasPrefix(name, ".")
			switch {
			case isTOML && !isDot:
				if earlier, ok := byName[name]; ok {
					unread.hidden = append(unread.hidden, earlier)
				}
				byName[name] = path
			case isTOML || !isDot && !strings.HasPrefix(name, "README"):
				unread.ignored = append(unread.ignored, path)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if path := byName[name]; !masked(path) {
			files = append(files, source{path: path})
		}
	}
	return files, unread, problems
}

// masked reports whether a drop-in is a link to /dev/null, which removes the one
// of the same name.
func masked(path string) bool {
	target, err := filepath.EvalSymlinks(path)
	return err == nil && target == os.DevNull
}

// read returns the text of a file.
func (s source) read() (string, *Problem) {
	fail := func(err error) (string, *Problem) {
		p := unreadable(s.path, err)
		if s.named && errors.Is(err, fs.ErrNotExist) {
			p.Message = "the file does not exist"
		}
		return "", &p
	}
	flags := os.O_RDONLY
	if !s.named {
		flags |= syscall.O_NONBLOCK // opening a FIFO would wait for a writer
	}
	f, err := os.OpenFile(s.path, flags, 0)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	// A link to /dev/null is an empty file.
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(null, info) {
		return "", nil
	}
	if info.IsDir() || !s.named && !info.Mode().IsRegular() {
		return fail(errors.New("must be a regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return fail(err)
	case len(data) > maxFile:
		return fail(errors.New("must be at most 1 MiB"))
	}
	return string(data), nil
}

// unreadable is the problem of a file or directory that cannot be read, with
// what to do about it.
func unreadable(path string, err error) Problem {
	p := Problem{Source: Source{File: path}}
	switch {
	case errors.Is(err, fs.ErrPermission):
		p.Message = "permission denied: the daemon's user must be able to read it and to enter its directories: " +
			"use mode 0644 for a file and 0755 for a directory, or group imds-ready with 0640 and 0750"
	case errors.Is(err, fs.ErrNotExist):
		p.Message = "the link points to nothing"
	default:
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err
		}
		p.Message = "cannot be read: " + err.Error()
	}
	return p
}
