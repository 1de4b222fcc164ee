// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/snapshot"
)

// flock(2) locks belong to open files, so two of them in one process are like two daemons.
func TestLock(t *testing.T) {
	tests := []struct {
		name   string
		status *snapshot.Status
		text   string
		pid    int
		want   string
	}{
		{name: "no status yet", want: "another gate holds it"},
		{name: "a final status", status: &snapshot.Status{State: snapshot.Ready, BootID: "b"}, want: "another gate holds it"},
		{name: "not our status", text: "{}", want: "another gate holds it"},
		{name: "waiting", status: &snapshot.Status{State: snapshot.Waiting, BootID: "b", PID: new(4711)}, pid: 4711, want: "process 4711 holds it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := open(t)
			if tt.text != "" {
				put(t, filepath.Join(first.path, snapshot.StatusFile), tt.text)
			}
			if tt.status != nil {
				if err := first.WriteStatus(*tt.status); err != nil {
					t.Fatal(err)
				}
			}
			before := entries(t, first.path)
			second, err := OpenDir(first.path)
			locked, isLocked := errors.AsType[*LockedError](err)
			if second != nil || !isLocked {
				t.Fatalf("the second: %v, %v", second, err)
			}
			if locked.Dir != first.path || locked.PID != tt.pid {
				t.Errorf("%+v, want PID %d", locked, tt.pid)
			}
			if want := "locking " + first.path + ": " + tt.want; err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
			if after := entries(t, first.path); after != before {
				t.Errorf("after the second: %s, before: %s", after, before)
			}
			first.Close()
			third, err := OpenDir(first.path)
			if err != nil {
				t.Fatalf("after the first was closed: %v", err)
			}
			third.Close()
		})
	}
}

// A directory is locked regardless of the path by which it is opened.
func TestLockThroughALink(t *testing.T) {
	d := open(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(d.path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(link); !isLocked(err) {
		t.Errorf("through a link: %v", err)
	}
	t.Chdir(filepath.Dir(d.path))
	if _, err := OpenDir("imds"); !isLocked(err) {
		t.Errorf("by a relative path: %v", err)
	}
}

func isLocked(err error) bool {
	_, ok := errors.AsType[*LockedError](err)
	return ok
}

// directoryOf returns a new directory of this user, which all users can reach.
func directoryOf(t *testing.T, user int) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, user, -1)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// as runs f on a thread of its own, with the permissions of this user.
func as(t *testing.T, user int, f func()) {
	t.Helper()
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(user), uintptr(user), uintptr(user))
		if errno == 0 {
			f()
		}
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		t.Fatal(errno)
	}
}

// checkLock checks that dir is locked by a file of the user, which other users cannot open.
func checkLock(t *testing.T, dir string, user int) {
	t.Helper()
	info, err := os.Lstat(filepath.Join(dir, lockFile))
	if err != nil || info.Mode() != 0o600 || atomicfile.Owner(info) != user {
		t.Errorf("%v %v, want mode 0600 and user %d", info, err, user)
	}
	if _, err := OpenDir(dir); !isLocked(err) {
		t.Errorf("the directory is not locked: %v", err)
	}
}

// A user who can only read the directory cannot lock it.
func TestLockIsPrivate(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := flock(f); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o777) // applies to the whole process, so this test is not parallel
	d, err := OpenDir(dir)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	checkLock(t, dir, os.Geteuid())
}

// Anything in the place of the lock file is replaced and never followed.
func TestPlantedLocks(t *testing.T) {
	for name, plant := range map[string]func(path, victim string) error{
		"a lock of an earlier run": func(p, _ string) error { return os.WriteFile(p, nil, 0o600) },
		"a file for everybody":     func(p, _ string) error { return errors.Join(os.WriteFile(p, nil, 0o666), os.Chmod(p, 0o666)) },
		"a link to a file outside": func(p, v string) error { return os.Symlink(v, p) },
		"a link to a file inside":  func(p, _ string) error { return os.Symlink(snapshot.TagsFile, p) },
		"a dangling link":          func(p, _ string) error { return os.Symlink("new", p) },
		"a directory":              func(p, _ string) error { return os.Mkdir(p, 0o755) },
		"a full directory":         func(p, v string) error { return errors.Join(os.MkdirAll(p+"/x", 0o755), os.Symlink(v, p+"/y")) },
		"a FIFO":                   func(p, _ string) error { return unix.Mkfifo(p, 0o666) },
		"a socket":                 func(p, _ string) error { return unix.Mknod(p, unix.S_IFSOCK|0o666, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
			put(t, victim, "precious")
			put(t, filepath.Join(dir, snapshot.TagsFile), "precious")
			if err := plant(filepath.Join(dir, lockFile), victim); err != nil {
				t.Fatal(err)
			}
			d, err := OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			checkLock(t, dir, os.Geteuid())
			if get(t, victim) != "precious" || get(t, filepath.Join(dir, snapshot.TagsFile)) != "precious" || entries(t, dir) != snapshot.TagsFile {
				t.Errorf("another file was changed: %s", entries(t, dir))
			}
		})
	}
}

// Neither a manual run as root, nor a run as the daemon's user, nor a lock file of another
// user prevents a later run of either.
func TestLocksOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can make files of other users; as root this is tested")
		return
	}
	const daemon, stranger = 65000, 65001
	open := func(t *testing.T, dir string) {
		t.Helper()
		d, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		checkLock(t, dir, daemon)
	}
	for name, owner := range map[string]int{"no lock": -1, "root's": 0, "the daemon's": daemon, "a stranger's": stranger} {
		for _, user := range []int{0, daemon} {
			t.Run(fmt.Sprintf("%s before user %d", name, user), func(t *testing.T) {
				dir := directoryOf(t, daemon)
				path := filepath.Join(dir, lockFile)
				if owner >= 0 {
					put(t, path, "")
					if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, owner, -1)); err != nil {
						t.Fatal(err)
					}
				}
				as(t, user, func() { open(t, dir) })
				as(t, daemon-user, func() { open(t, dir) })
			})
		}
	}
	t.Run("in a directory of a stranger", func(t *testing.T) {
		dir := directoryOf(t, stranger)
		path := filepath.Join(dir, lockFile)
		put(t, path, "")
		if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(path, 0o600), os.Chown(path, stranger, -1)); err != nil {
			t.Fatal(err)
		}
		as(t, daemon, func() {
			_, err := OpenDir(dir)
			if want := ".lock must belong to user 65000, and only user 65001, who owns the directory, can replace it"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("it was removed: %v", err)
		}
	})
}

// Only one process at a time gets the lock, even while the lock file is removed repeatedly.
func TestLockThatIsUnlinked(t *testing.T) {
	dir := t.TempDir()
	var inside, turns atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				d, err := OpenDir(dir)
				if err != nil {
					continue // another one holds it
				}
				turns.Add(1)
				if inside.Add(1) != 1 {
					t.Error("two hold the directory")
				}
				runtime.Gosched()
				inside.Add(-1)
				_ = os.Remove(filepath.Join(dir, lockFile))
				d.Close()
			}
		})
	}
	all.Wait()
	if turns.Load() < 10 {
		t.Errorf("only %d turns", turns.Load())
	}
}

// A process without a free descriptor does not replace the lock file of another process.
func TestLockWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	before, err := os.Lstat(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	for n := uint64(3); n < 64; n++ { // begins below the number of open files
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(dir); err == nil {
			t.Errorf("%d descriptors: two hold the directory", n)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Lstat(filepath.Join(dir, lockFile)); err != nil || !os.SameFile(before, after) {
		t.Errorf("the lock was replaced: %v", err)
	}
}

// The error says whether a gate or a refresh holds the directory. Neither changes the lock
// file.
func TestLockTellsTheHolder(t *testing.T) {
	gate := open(t)
	before, err := os.Lstat(filepath.Join(gate.path, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	refresh := func() *Dir {
		d, err := Open(gate.path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	held := func(err error, gate bool, want string) {
		t.Helper()
		locked, ok := errors.AsType[*LockedError](err)
		if !ok || locked.Gate != gate || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	held(refresh().Lock(), true, ": another gate holds it")
	gate.Close()
	first := refresh()
	if err := first.Lock(); err != nil {
		t.Fatal(err)
	}
	held(refresh().Lock(), false, ": a refresh holds it")
	_, err = OpenDir(gate.path)
	held(err, false, ": a refresh holds it")
	first.Close()
	if err := refresh().Lock(); err != nil {
		t.Fatal(err)
	}
	after, err := os.Lstat(filepath.Join(gate.path, lockFile))
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) || after.Size() != 0 {
		t.Errorf("the lock file was changed: %v %v", after, err)
	}
}

// Open does not make a directory.
func TestOpenWithoutADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "imds")
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}
