// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// inVirtualTime runs a wait in virtual time, with polling and without inotify. The
// argument at of progress is the time since the start.
func inVirtualTime(t *testing.T, dir, boot string, limit time.Duration, progress func(at time.Duration, p Progress)) (st Status, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		w := &waiter{dir: dir, boot: boot, gone: Status.ProcessGone, progress: func(p Progress) { progress(time.Since(start), p) }}
		st, err = w.run(ctx, func() {}, nil)
		took = time.Since(start)
	})
	return st, took, err
}

func TestWaitTimesOut(t *testing.T) {
	dir := t.TempDir()
	looks := 0
	_, took, err := inVirtualTime(t, dir, "b", 6*time.Minute, func(_ time.Duration, p Progress) {
		looks++
		if !errors.Is(p.Err, fs.ErrNotExist) || p.Status.State != "" {
			t.Errorf("%+v", p)
		}
	})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, fs.ErrNotExist) || took != 6*time.Minute || looks < 359 || looks > 361 {
		t.Errorf("%v after %v and %d looks", err, took, looks)
	}
	// If there is a status, it is returned together with the error.
	write(t, dir, Status{State: Waiting, BootID: "b", Attempts: 7})
	st, _, err := inVirtualTime(t, dir, "b", 1500*time.Millisecond, func(time.Duration, Progress) {})
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fs.ErrNotExist) || st.Attempts != 7 {
		t.Errorf("%+v %v", st, err)
	}
}

// Without inotify, a change is noticed within a second.
func TestWaitPolls(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imds")
	st, took, err := inVirtualTime(t, dir, "b", time.Minute, func(at time.Duration, _ Progress) {
		switch at {
		case 2 * time.Second:
			write(t, dir, Status{State: Waiting, BootID: "b"})
		case 5 * time.Second:
			write(t, dir, Status{State: Ready, BootID: "b"})
		}
	})
	if err != nil || st.State != Ready || took != 6*time.Second {
		t.Errorf("%+v %v after %v", st, err, took)
	}
}

// A status that is written just before the deadline wins.
func TestWaitReadsOnceMoreAtTheDeadline(t *testing.T) {
	dir := t.TempDir()
	st, took, err := inVirtualTime(t, dir, "b", 1500*time.Millisecond, func(at time.Duration, _ Progress) {
		if at == time.Second {
			write(t, dir, Status{State: Degraded, BootID: "b"})
		}
	})
	if err != nil || st.State != Degraded || took != 1500*time.Millisecond {
		t.Errorf("%+v %v after %v", st, err, took)
	}
}

// ended returns the PID of a process that has ended.
func ended(t *testing.T) int {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/bin/true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

func TestWaitSeesThatTheProcessIsGone(t *testing.T) {
	dir := t.TempDir()
	own, gone := os.Getpid(), ended(t)
	write(t, dir, Status{State: Waiting, BootID: "b", PID: &own})
	var seen []bool
	_, _, err := inVirtualTime(t, dir, "b", 3500*time.Millisecond, func(at time.Duration, p Progress) {
		seen = append(seen, p.Gone)
		if at == time.Second { // the daemon was killed, so no other status follows
			write(t, dir, Status{State: Waiting, BootID: "b", PID: &gone})
		}
	})
	if want := []bool{false, false, true, true}; !slices.Equal(seen, want) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v, %v", seen, want, err)
	}
	// With AnyBoot the PID is ignored, because it may be from another PID namespace.
	_, _, _ = inVirtualTime(t, dir, AnyBoot, time.Minute, func(_ time.Duration, p Progress) {
		if p.Gone || p.Status.State != Waiting {
			t.Errorf("%+v", p)
		}
	})
}

// If the process ends after its status was read and before the process is checked, Wait
// reads the status again and finds the final one.
func TestWaitReadsTheFinalStatus(t *testing.T) {
	dir, gone := t.TempDir(), ended(t)
	write(t, dir, Status{State: Waiting, BootID: "b", PID: &gone})
	w := &waiter{dir: dir, boot: "b", gone: func(st Status) bool {
		write(t, dir, Status{State: Ready, BootID: "b"})
		return st.ProcessGone()
	}}
	if decided, err := w.look(); !decided || err != nil || w.last.Gone || w.last.Status.State != Ready {
		t.Errorf("decided %t, %v, %+v", decided, err, w.last)
	}
}

func TestProcessGone(t *testing.T) {
	for name, tt := range map[string]struct {
		pid  *int
		want bool
	}{
		"none": {nil, false}, "own": {new(os.Getpid()), false}, "the first": {new(1), false}, "ended": {new(ended(t)), true},
		"zero": {new(0), false}, "all of them": {new(-1), false}, "a group": {new(-99999), false},
	} {
		if got := (Status{PID: tt.pid}).ProcessGone(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// unprivileged runs f on a thread without capabilities, so that file modes apply even to
// root. The thread ends afterwards.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		err := unix.Capset(&header, &none[0])
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A directory that cannot be read ends the wait, but only after the time in which a new
// directory may not have its final mode yet.
func TestWaitWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, Status{State: Ready, BootID: "b"})
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	unprivileged(t, func() {
		start := time.Now()
		_, err := Wait(t.Context(), dir, "b", nil)
		if !errors.Is(err, fs.ErrPermission) || time.Since(start) > testTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := Open(dir, "b"); !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
	})
	unprivileged(t, func() {
		looks := 0
		st, err := Wait(t.Context(), dir, "b", func(p Progress) {
			looks++
			if err := os.Chmod(dir, 0o755); err != nil || !errors.Is(p.Err, fs.ErrPermission) {
				t.Errorf("%v %v", p.Err, err)
			}
		})
		if err != nil || st.State != Ready || looks != 1 {
			t.Errorf("%+v %v after %d looks", st, err, looks)
		}
	})
}
