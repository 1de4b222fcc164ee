// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenDirFails(t *testing.T) {
	base := t.TempDir()
	put(t, filepath.Join(base, "file"), "x")
	for _, tt := range []struct{ name, path, want string }{
		{"a file", filepath.Join(base, "file"), "not a directory"},
		{"below a file", filepath.Join(base, "file", "x"), "not a directory"},
		{"a name that is too long", filepath.Join(base, strings.Repeat("x", 300)), "file name too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := OpenDir(tt.path)
			if d != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
				t.Errorf("%v %v, want %q", d, err, tt.want)
			}
		})
	}
}

// An existing directory keeps its mode.
func TestOpenDirLeavesModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("mode %v %v, want 0750", info.Mode(), err)
	}
}

// InPlace fails if readers cannot find the locked directory.
func TestInPlace(t *testing.T) {
	d := open(t)
	if err := d.InPlace(); err != nil {
		t.Errorf("just opened: %v", err)
	}
	if err := os.Rename(d.path, d.path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := d.InPlace(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("moved away: %v", err)
	}
	if err := os.Mkdir(d.path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.InPlace(); err == nil || !strings.Contains(err.Error(), "moved or mounted over") {
		t.Errorf("replaced: %v", err)
	}
	other, err := OpenDir(d.path)
	if err != nil {
		t.Fatalf("the new directory: %v", err)
	}
	other.Close()
}
