// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
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
			changed, err := d.Write(snapshot.TagsFile, tt.file)
			if err != nil || changed != tt.changed {
				t.Fatalf("changed %v %v, want %v", changed, err, tt.changed)
			}
			path := filepath.Join(d.path, snapshot.TagsFile)
			if got := get(t, path); got != string(tt.file.Data) {
				t.Errorf("content %.20q, want %.20q", got, tt.file.Data)
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != tt.file.Mode() {
				t.Errorf("mode %v %v, want %v", info.Mode(), err, tt.file.Mode())
			}
			if list := entries(t, d.path); list != snapshot.TagsFile {
				t.Errorf("the directory has %s", list)
			}
		})
	}
}

// Write restores a changed mode, even if the content is the same.
func TestWriteRepairsTheMode(t *testing.T) {
	d := open(t)
	for _, f := range []File{{Data: []byte("x")}, {Data: []byte("x"), Secret: true}} {
		if _, err := d.Write(snapshot.UserDataFile, f); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(d.path, snapshot.UserDataFile)
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		changed, err := d.Write(snapshot.UserDataFile, f)
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
		if _, err := d.Write(name, File{}); err == nil || !strings.Contains(err.Error(), "must be a file name of package snapshot") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if list := entries(t, d.path); list != "" {
		t.Errorf("the directory has %s", list)
	}
}

// Public files and the directory are readable even with the umask of a hardened shell.
func TestUmaskIsIgnored(t *testing.T) {
	old := syscall.Umask(0o077) // applies to the whole process, so this test is not parallel
	defer syscall.Umask(old)
	base := t.TempDir()
	d, err := OpenDir(filepath.Join(base, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write(snapshot.EnvFile, File{Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(snapshot.UserDataFile, File{Secret: true}); err != nil {
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

// A link in the place of a file is replaced, even if it leads to the same content.
func TestWriteReplacesLinks(t *testing.T) {
	d := open(t)
	put(t, filepath.Join(d.path, snapshot.UserDataFile), "same")
	if err := os.Symlink(snapshot.UserDataFile, filepath.Join(d.path, snapshot.EnvFile)); err != nil {
		t.Fatal(err)
	}
	changed, err := d.Write(snapshot.EnvFile, File{Data: []byte("same")})
	info, statErr := os.Lstat(filepath.Join(d.path, snapshot.EnvFile))
	if !changed || err != nil || statErr != nil || info.Mode() != 0o644 {
		t.Errorf("changed %v %v, %v %v", changed, err, info, statErr)
	}
}

func TestWriteFails(t *testing.T) {
	d := open(t)
	occupy(t, d, snapshot.EnvFile)
	changed, err := d.Write(snapshot.EnvFile, File{Data: []byte("new")})
	want := "writing " + filepath.Join(d.path, snapshot.EnvFile) + ": "
	if changed || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("changed %v, error %v, want %s...", changed, err, want)
	}
}
