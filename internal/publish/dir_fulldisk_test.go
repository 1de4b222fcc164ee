// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/snapshot"
)

// limitedEnv is the environment variable that turns this test program into the helper of
// TestFullDisk. Its value is the directory.
const limitedEnv = "SNAPSHOT_TEST_LIMITED_WRITER"

// limitedWriter writes more than the limit of its process for the size of files. As on a
// full disk, the kernel writes the first part and rejects the rest.
func limitedWriter(dir string) int {
	d, err := OpenDir(dir)
	if err != nil {
		fmt.Println("opening:", err)
		return 1
	}
	defer d.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		fmt.Println("limiting:", err)
		return 1
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: before.Max}); err != nil {
		fmt.Println("limiting:", err)
		return 1
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &before) // for the coverage data at exit
	for _, name := range []string{snapshot.StatusFile, snapshot.UserDataFile} {
		changed, err := d.Write(name, File{Data: make([]byte, 10000), Secret: name == snapshot.UserDataFile})
		fmt.Println(name, changed, err)
	}
	return 0
}

// If the kernel writes only a part of a file, the old file is kept.
func TestFullDisk(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, snapshot.StatusFile), "old")
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), limitedEnv+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	line := func(name string) string {
		path := filepath.Join(dir, name)
		return name + " false writing " + path + ": write " + filepath.Join(dir, atomicfile.Temporary(name)) + ": file too large\n"
	}
	want := line(snapshot.StatusFile) + line(snapshot.UserDataFile)
	if string(out) != want {
		t.Errorf("printed\n%s\nwant\n%s", out, want)
	}
	if got := get(t, filepath.Join(dir, snapshot.StatusFile)); got != "old" {
		t.Errorf("status.json is %.20q", got)
	}
	if list := entries(t, dir); list != snapshot.StatusFile {
		t.Errorf("the directory has %s", list)
	}
}
