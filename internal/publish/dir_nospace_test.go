// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/snapshot"
)

// fullEnv is the environment variable that turns this test program into the helper of
// TestFinalStatusWithoutSpace. Its value is the directory.
const fullEnv = "SNAPSHOT_TEST_FULL"

// fullWriter mounts a small file system at dir, in a mount namespace of its own, and fills
// it. It prints the final state.
func fullWriter(dir string) int {
	check := func(doing string, err error) {
		if err != nil {
			fmt.Printf("%s: %v\n", doing, err)
			os.Exit(1)
		}
	}
	check("keeping the mounts apart", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check("mounting", unix.Mount("none", dir, "tmpfs", 0, "size=16k"))
	for _, state := range []string{snapshot.Waiting, snapshot.Ready} {
		d, err := OpenDir(dir)
		check("opening", err)
		check("writing", d.WriteStatus(snapshot.Status{BootID: "b", State: state}))
		fill, err := os.Create(filepath.Join(dir, "fill"))
		check("filling", err)
		for err == nil {
			_, err = fill.Write(make([]byte, 512))
		}
		fill.Close()
		if err := d.WriteStatus(snapshot.Status{BootID: "b", State: snapshot.Failed}); !errors.Is(err, unix.ENOSPC) {
			fmt.Println("without space:", err)
		}
		failed := d.WriteFinalStatus(snapshot.Status{BootID: "b", State: snapshot.Failed})
		st, err := d.Status()
		check("reading", err)
		fmt.Println(state, "becomes", st.State, errors.Is(failed, unix.ENOSPC))
		check("removing", os.Remove(fill.Name()))
		d.Close()
	}
	return 0
}

// If there is no space for a second status.json, the final one replaces one whose state is
// waiting, which would otherwise remain forever, but no other.
func TestFinalStatusWithoutSpace(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fullEnv+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		t.Log("not tested: this system does not allow user namespaces; run the test as root")
		return
	}
	if want := "waiting becomes failed false\nready becomes ready true\n"; err != nil || string(out) != want {
		t.Errorf("%v, printed\n%swant\n%s", err, out, want)
	}
}
