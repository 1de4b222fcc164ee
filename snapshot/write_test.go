// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWrite(t *testing.T) {
	d := open(t)
	steps := []struct {
		name    string
		file    File
		changed bool
	}{
		{"new", File{Data: []byte("a")}, true},
		{"the same", File{Data: []byte("a")}, false},
		{"other content", File{Data: []byte("b")}, true},
		{"secret", File{Data: []byte("b"), Secret: true}, true},
		{"the same secret", File{Data: []byte("b"), Secret: true}, false},
		{"public again", File{Data: []byte("b")}, true},
		{"empty", File{}, true},
		{"empty again", File{Data: []byte{}}, false},
		{"large", File{Data: make([]byte, 1<<20)}, true},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			changed, err := d.Write(TagsFile, tt.file)
			if err != nil || changed != tt.changed {
				t.Fatalf("changed %v %v, want %v", changed, err, tt.changed)
			}
			path := filepath.Join(d.path, TagsFile)
			if got := get(t, path); got != string(tt.file.Data) {
				t.Errorf("content %.20q, want %.20q", got, tt.file.Data)
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != tt.file.Mode() {
				t.Errorf("mode %v %v, want %v", info.Mode(), err, tt.file.Mode())
			}
			if list := entries(t, d.path); list != TagsFile {
				t.Errorf("the directory has %s", list)
			}
		})
	}
}

// A mode that somebody has changed is put right, though the content is the same.
func TestWriteRepairsTheMode(t *testing.T) {
	d := open(t)
	for _, f := range []File{{Data: []byte("x")}, {Data: []byte("x"), Secret: true}} {
		if _, err := d.Write(UserDataFile, f); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(d.path, UserDataFile)
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		changed, err := d.Write(UserDataFile, f)
		info, statErr := os.Lstat(path)
		if !changed || err != nil || statErr != nil || info.Mode() != f.Mode() {
			t.Errorf("changed %v %v, mode %v, want %v", changed, err, info.Mode(), f.Mode())
		}
	}
}

func TestWriteRefusesOtherNames(t *testing.T) {
	d := open(t)
	for _, name := range []string{
		"", ".", "..", "x", "../tags.json", "/tags.json", "a/tags.json", ".tags.json.tmp", "tags.json/", "TAGS.JSON",
	} {
		if _, err := d.Write(name, File{}); err == nil || !strings.Contains(err.Error(), "not a file of this directory") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if list := entries(t, d.path); list != "" {
		t.Errorf("the directory has %s", list)
	}
}

// The umask of a hardened shell does not make the files private.
func TestUmaskHasNoSay(t *testing.T) {
	old := syscall.Umask(0o077) // of the whole process: this test is not parallel
	defer syscall.Umask(old)
	base := t.TempDir()
	d, err := OpenDir(filepath.Join(base, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write(EnvFile, File{Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(UserDataFile, File{Secret: true}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		"a": os.ModeDir | 0o755, "a/b": os.ModeDir | 0o755, "a/b/imds.env": 0o644, "a/b/user-data": 0o600,
	} {
		if info, err := os.Lstat(filepath.Join(base, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// What is planted at the target or at the temporary's name is replaced, never
// followed, opened or waited for.
func TestPlantedThings(t *testing.T) {
	plants := []struct {
		name  string
		plant func(path, victim string) error
	}{
		{"link to a file outside", func(p, v string) error { return os.Symlink(v, p) }},
		{"link to a file inside", func(p, _ string) error { return os.Symlink("user-data", p) }},
		{"dangling link", func(p, v string) error { return os.Symlink(v+".new", p) }},
		{"link to a directory", func(p, v string) error { return os.Symlink(filepath.Dir(v), p) }},
		{"hard link", func(p, v string) error { return os.Link(v, p) }},
		{"FIFO", func(p, _ string) error { return unix.Mkfifo(p, 0o666) }},
		{"socket", func(p, _ string) error { return unix.Mknod(p, unix.S_IFSOCK|0o666, 0) }},
		{"file", func(p, _ string) error { return os.WriteFile(p, []byte("planted"), 0o666) }},
	}
	for _, tt := range plants {
		for _, at := range []string{EnvFile, temporary(EnvFile)} {
			t.Run(tt.name+" at "+at, func(t *testing.T) {
				d := open(t)
				victim := filepath.Join(t.TempDir(), "victim")
				put(t, victim, "precious")
				put(t, filepath.Join(d.path, UserDataFile), "precious")
				if err := tt.plant(filepath.Join(d.path, at), victim); err != nil {
					t.Fatal(err)
				}
				changed, err := d.Write(EnvFile, File{Data: []byte("new")})
				if err != nil || !changed {
					t.Errorf("changed %v: %v", changed, err)
				}
				info, err := os.Lstat(filepath.Join(d.path, EnvFile))
				if err != nil || info.Mode() != 0o644 || get(t, filepath.Join(d.path, EnvFile)) != "new" {
					t.Errorf("%v %v", info.Mode(), err)
				}
				if get(t, victim) != "precious" || get(t, filepath.Join(d.path, UserDataFile)) != "precious" {
					t.Error("another file was written")
				}
				if list := entries(t, filepath.Dir(victim)); list != "victim" {
					t.Errorf("outside: %s", list)
				}
				if list := entries(t, d.path); list != "imds.env user-data" {
					t.Errorf("inside: %s", list)
				}
			})
		}
	}
}

// A write that cannot be finished leaves the old file, and nothing else.
func TestFailedWrites(t *testing.T) {
	t.Run("a directory in the way", func(t *testing.T) {
		d := open(t)
		if err := os.MkdirAll(filepath.Join(d.path, EnvFile, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		changed, err := d.Write(EnvFile, File{Data: []byte("new")})
		want := "writing " + filepath.Join(d.path, EnvFile) + ": "
		if changed || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("changed %v, error %v, want %s...", changed, err, want)
		}
		if list := entries(t, d.path); list != EnvFile {
			t.Errorf("the directory has %s", list)
		}
	})
	t.Run("a directory at the temporary's name", func(t *testing.T) {
		d := open(t)
		if err := os.MkdirAll(filepath.Join(d.path, temporary(EnvFile), "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(d.path, EnvFile), "old")
		if changed, err := d.Write(EnvFile, File{Data: []byte("new")}); changed || err == nil {
			t.Errorf("changed %v, error %v", changed, err)
		}
		if got := get(t, filepath.Join(d.path, EnvFile)); got != "old" {
			t.Errorf("the file is %q", got)
		}
	})
	t.Run("the directory is gone", func(t *testing.T) {
		d := open(t)
		if err := os.Remove(d.path); err != nil {
			t.Fatal(err)
		}
		if changed, err := d.Write(EnvFile, File{Data: []byte("new")}); changed || err == nil {
			t.Errorf("changed %v, error %v", changed, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		d := open(t)
		d.Close()
		if changed, err := d.Write(EnvFile, File{Data: []byte("new")}); changed || err == nil {
			t.Errorf("changed %v, error %v", changed, err)
		}
	})
}
