// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// directory returns a new directory and its root.
func directory(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// want checks the content and the mode of a file, and the names in its directory.
func want(t *testing.T, path, text string, mode fs.FileMode, names string) {
	t.Helper()
	data, err := os.ReadFile(path)
	info, statErr := os.Lstat(path)
	if err != nil || statErr != nil || string(data) != text || info.Mode() != mode {
		t.Fatalf("%s: %q %v %v, want %q %v", path, data, info, errors.Join(err, statErr), text, mode)
	}
	list, err := os.ReadDir(filepath.Dir(path))
	var got []string
	for _, entry := range list {
		got = append(got, entry.Name())
	}
	if err != nil || strings.Join(got, " ") != names {
		t.Errorf("the directory has %q %v, want %s", got, err, names)
	}
}

// The mode is the given one, regardless of the umask.
func TestWrite(t *testing.T) {
	old := syscall.Umask(0o077) // applies to the whole process, so this test is not parallel
	defer syscall.Umask(old)
	dir, root := directory(t)
	for _, step := range []struct {
		text string
		mode fs.FileMode
	}{{"a", 0o644}, {"", 0o600}, {"bc", 0o644}} {
		if err := Write(root, "f", []byte(step.text), step.mode); err != nil {
			t.Fatal(err)
		}
		want(t, filepath.Join(dir, "f"), step.text, step.mode, "f")
	}
}

// Anything that another user has created at the name or at its temporary name is replaced.
// It is never followed or opened, and never blocks the writer.
func TestPlantedThings(t *testing.T) {
	for name, plant := range map[string]func(path, victim string) error{
		"link to a file outside": func(p, v string) error { return os.Symlink(v, p) },
		"link to a file inside":  func(p, _ string) error { return os.Symlink("other", p) },
		"dangling link":          func(p, v string) error { return os.Symlink(v+".new", p) },
		"link to a directory":    func(p, v string) error { return os.Symlink(filepath.Dir(v), p) },
		"hard link":              func(p, v string) error { return os.Link(v, p) },
		"FIFO":                   func(p, _ string) error { return unix.Mkfifo(p, 0o666) },
		"socket":                 func(p, _ string) error { return unix.Mknod(p, unix.S_IFSOCK|0o666, 0) },
		"file":                   func(p, _ string) error { return os.WriteFile(p, []byte("planted"), 0o666) },
	} {
		for _, at := range []string{"f", Temporary("f")} {
			t.Run(name+" at "+at, func(t *testing.T) {
				dir, root := directory(t)
				victim := filepath.Join(t.TempDir(), "victim")
				put(t, victim, "precious")
				put(t, filepath.Join(dir, "other"), "precious")
				if err := plant(filepath.Join(dir, at), victim); err != nil {
					t.Fatal(err)
				}
				if err := Write(root, "f", []byte("new"), 0o644); err != nil {
					t.Error(err)
				}
				want(t, filepath.Join(dir, "f"), "new", 0o644, "f other")
				want(t, filepath.Join(dir, "other"), "precious", 0o644, "f other")
				want(t, victim, "precious", 0o644, "victim")
			})
		}
	}
}

// A failed write leaves the old file and removes the temporary file.
func TestWriteFails(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(dir string, root *os.Root) error
		names string
	}{
		"a directory in its place": {
			func(dir string, _ *os.Root) error { return os.MkdirAll(filepath.Join(dir, "f", "x"), 0o755) }, "f old",
		},
		"a directory with content at the temporary's name": {
			func(dir string, _ *os.Root) error { return os.MkdirAll(filepath.Join(dir, Temporary("f"), "x"), 0o755) }, ".f.tmp old",
		},
		"closed": {func(_ string, root *os.Root) error { return root.Close() }, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, root := directory(t)
			put(t, filepath.Join(dir, "old"), "old")
			if err := tt.spoil(dir, root); err != nil {
				t.Fatal(err)
			}
			if err := Write(root, "f", []byte("new"), 0o644); err == nil {
				t.Error("no error")
			}
			want(t, filepath.Join(dir, "old"), "old", 0o644, tt.names)
		})
	}
}

// Read never follows a link, never blocks, and never reads more than the limit.
func TestRead(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(path string) error
		want  error
	}{
		"file":      {func(p string) error { return os.WriteFile(p, []byte("12345678"), 0o600) }, nil},
		"too large": {func(p string) error { return os.WriteFile(p, []byte("123456789"), 0o600) }, ErrNotRegular},
		"link":      {func(p string) error { return errors.Join(os.WriteFile(p+"2", nil, 0o600), os.Symlink("f2", p)) }, ErrNotRegular},
		"directory": {func(p string) error { return os.Mkdir(p, 0o755) }, ErrNotRegular},
		"FIFO":      {func(p string) error { return unix.Mkfifo(p, 0o644) }, ErrNotRegular},
		"socket":    {func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o644, 0) }, ErrNotRegular},
		"nothing":   {func(string) error { return nil }, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			dir, root := directory(t)
			if err := tt.plant(filepath.Join(dir, "f")); err != nil {
				t.Fatal(err)
			}
			self, err := root.Open(".")
			if err != nil {
				t.Fatal(err)
			}
			defer self.Close()
			data, info, err := Read(self, "f", 8)
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if tt.want == nil && (string(data) != "12345678" || info.Mode() != 0o600) {
				t.Errorf("%q %v", data, info)
			}
		})
	}
}
