// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/snapshot"
)

// exitCannotWrite is the documented exit code of imds-ready run if it cannot write its files.
const exitCannotWrite = 77

// fullDisks runs the daemon in a tmpfs that is too small.
func (t *torture) fullDisks(ctx context.Context) {
	sim, url, err := simulate()
	if err != nil {
		t.fact(false, "starting the simulator: %v", err)
		return
	}
	defer sim.Close()
	sizes := []string{"size=4k", "size=8k", "size=12k", "size=16k", "size=20k", "size=24k", "size=28k", "size=32k", "size=36k", "size=40k"}
	inodes := []string{"nr_inodes=1", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "nr_inodes=5", "nr_inodes=6", "nr_inodes=8", "nr_inodes=10"}
	if t.short {
		sizes = []string{"size=4k", "size=8k", "size=16k", "size=28k"}
		inodes = []string{"nr_inodes=1", "nr_inodes=2", "nr_inodes=3", "nr_inodes=6"}
	}
	for _, option := range append(sizes, inodes...) {
		t.smallDisk(ctx, url, option, false)
		t.smallDisk(ctx, url, option, true)
	}
}

// smallDisk runs the daemon in a small tmpfs, and then in the same tmpfs with enough room.
// If afterKill is set, the tmpfs contains the status of a daemon that was killed while it
// waited.
func (t *torture) smallDisk(ctx context.Context, url, option string, afterKill bool) {
	name := "a disk with " + option
	if afterKill {
		name += ", after a kill"
	}
	p := t.newPlace(url, "metadata.requests_per_second = 200\nmetadata.concurrency = 16\n")
	defer p.remove()
	if err := errors.Join(os.Mkdir(p.dir, 0o755), unix.Mount("torture", p.dir, "tmpfs", 0, "mode=0755,"+enough)); err != nil {
		t.fact(false, "%s: mounting a tmpfs: %v", name, err)
		return
	}
	defer func() { _ = unix.Unmount(p.dir, unix.MNT_DETACH) }()
	if afterKill {
		if err := t.killWaiting(ctx, p); err != nil {
			t.fact(false, "%s: %v", name, err)
			return
		}
		p.configure(url, "")
	}
	// A tmpfs cannot become smaller than its content. If it does not, fill it instead.
	shrunk := unix.Mount("", p.dir, "", unix.MS_REMOUNT, option) == nil
	if !shrunk && !afterKill {
		t.fact(false, "%s: the disk cannot be made smaller", name)
		return
	}
	if !shrunk {
		if err := fill(p.dir); err != nil {
			t.fact(false, "%s: filling the disk: %v", name, err)
			return
		}
	}
	r := t.run(ctx, p.daemonArgs()...)
	st, err := snapshot.ReadStatus(p.dir)
	absent := errors.Is(err, fs.ErrNotExist)
	var wrong []string
	switch {
	case r.Exit == 0 && (err != nil || st.State != snapshot.Ready):
		wrong = append(wrong, fmt.Sprintf("exit 0 with %q %v", st.State, err))
	case r.Exit != 0 && r.Exit != exitCannotWrite:
		wrong = append(wrong, fmt.Sprintf("exit %d: %s", r.Exit, r.Stderr))
	case r.Exit != 0 && !absent && (err != nil || st.State != snapshot.Failed || st.ExitCode == nil || *st.ExitCode != r.Exit):
		wrong = append(wrong, fmt.Sprintf("exit %d beside %q %v", r.Exit, st.State, err))
	}
	if _, err := os.Lstat(filepath.Join(p.dir, snapshot.IdentityFile)); err == nil && r.Exit != 0 && st.Generation == 0 {
		wrong = append(wrong, "identity.json exists after a failure")
	}
	if left, _ := temporaries(p.dir); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("temporaries: %v", left))
	}
	what := fmt.Sprintf("exit %d, state %q", r.Exit, st.State)
	if absent {
		what = fmt.Sprintf("exit %d, no status.json", r.Exit)
	}
	os.Remove(filepath.Join(p.dir, ballast))
	if err := unix.Mount("", p.dir, "", unix.MS_REMOUNT, enough); err != nil {
		wrong = append(wrong, fmt.Sprintf("making room: %v", err))
	}
	if again := t.run(ctx, p.daemonArgs()...); again.Exit != 0 {
		wrong = append(wrong, fmt.Sprintf("with room again: exit %d: %s", again.Exit, again.Stderr))
	}
	t.check(wrong, "%s: %s; ready once there is room", name, what)
}

// enough contains mount options that leave room for all files.
const enough = "size=1m,nr_inodes=100"

// ballast is the name of the file that fills a disk.
const ballast = "ballast"

// fill uses all remaining blocks.
func fill(dir string) error {
	var at unix.Statfs_t
	f, err := os.Create(filepath.Join(dir, ballast))
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, unix.ENOSPC) {
			break
		} else if err != nil {
			return err
		}
	}
	if err := unix.Statfs(dir, &at); err != nil {
		return err
	}
	if at.Bfree != 0 {
		return fmt.Errorf("%d blocks are free", at.Bfree)
	}
	return nil
}

// killWaiting kills a daemon while it waits, so that its status stays.
func (t *torture) killWaiting(ctx context.Context, p place) error {
	s := serve(ordinary(document, nil))
	defer s.close()
	s.down.Store(true)
	p.configure(s.url, "")
	cmd := t.command(ctx, p.daemonArgs()...)
	if err := cmd.Start(); err != nil {
		return err
	}
	p.awaitStatus(ctx)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	st, err := snapshot.ReadStatus(p.dir)
	if err == nil && st.State != snapshot.Waiting {
		err = fmt.Errorf("the state is %q", st.State)
	}
	return err
}
