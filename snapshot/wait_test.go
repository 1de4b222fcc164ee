// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testTimeout limits each wait in real time. A successful wait takes milliseconds.
const testTimeout = 20 * time.Second

// background is a Wait in a goroutine.
type background struct {
	looks chan Progress // the arguments of progress; those that do not fit are dropped
	done  chan struct{}
	st    Status
	err   error
}

// startWait starts a Wait and returns after it has called progress for the first time, so
// that it watches the directory, or has ended.
func startWait(t *testing.T, dir, bootID string) *background {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	a := &background{looks: make(chan Progress, 1000), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.st, a.err = Wait(ctx, dir, bootID, func(p Progress) {
			select {
			case a.looks <- p:
			default:
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-a.done })
	a.look(t, func(Progress) bool { return true })
	return a
}

// look waits for a Progress that satisfies want, or for the end of the Wait.
func (a *background) look(t *testing.T, want func(Progress) bool) {
	t.Helper()
	for {
		select {
		case p := <-a.looks:
			if want(p) {
				return
			}
		case <-a.done:
			return
		case <-time.After(testTimeout):
			t.Fatal("Wait has not reported the expected progress")
		}
	}
}

// end waits for the end of the Wait, and checks the state and the boot.
func (a *background) end(t *testing.T, state, boot string) {
	t.Helper()
	<-a.done
	if a.err != nil || a.st.State != state || a.st.BootID != boot {
		t.Errorf("Wait returns %+v %v, want state %s of boot %s", a.st, a.err, state, boot)
	}
}

func TestWaitForEveryState(t *testing.T) {
	for _, state := range []string{Ready, Degraded, Skipped, Failed} {
		t.Run(state, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "imds")
			write(t, dir, Status{State: Waiting, BootID: "b"})
			a := startWait(t, dir, "b")
			write(t, dir, Status{State: state, BootID: "b", ExitCode: new(75)})
			a.end(t, state, "b")
			if a.st.ExitCode == nil || *a.st.ExitCode != 75 {
				t.Errorf("%+v", a.st)
			}
			// If the gate is already decided, Wait returns without calling progress.
			st, err := Wait(t.Context(), dir, "b", func(p Progress) { t.Errorf("%+v", p) })
			if err != nil || st.State != state {
				t.Errorf("%+v %v", st, err)
			}
		})
	}
}

// Wait survives changes of the directory. Its polling would be enough for this test;
// TestWatchDir proves that inotify reports the changes.
func TestWaitThroughChanges(t *testing.T) {
	ready := Status{State: Ready, BootID: "b"}
	waiting := Status{State: Waiting, BootID: "b"}
	isWaiting := func(p Progress) bool { return p.Status.State == Waiting }
	isMissing := func(p Progress) bool { return errors.Is(p.Err, os.ErrNotExist) }
	tests := []struct {
		name   string
		before func(t *testing.T, dir string)
		after  func(t *testing.T, dir string, a *background)
	}{
		{"a directory that appears", nil, func(t *testing.T, dir string, _ *background) { write(t, dir, ready) }},
		{"with its parents, one by one", nil, func(t *testing.T, dir string, _ *background) {
			for _, d := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write(t, dir, ready)
		}},
		{"moved into place with its content", nil, func(t *testing.T, dir string, _ *background) {
			root := filepath.Dir(filepath.Dir(dir))
			write(t, root+".new/down/imds", ready)
			if err := os.Rename(root+".new", root); err != nil {
				t.Fatal(err)
			}
		}},
		{
			"removed and made again",
			func(t *testing.T, dir string) { write(t, dir, waiting) },
			func(t *testing.T, dir string, a *background) {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				a.look(t, isMissing)
				write(t, dir, waiting)
				a.look(t, isWaiting)
				if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
					t.Fatal(err)
				}
				a.look(t, isMissing)
				write(t, dir, ready)
			},
		},
		{
			"moved away, another in its place",
			func(t *testing.T, dir string) { write(t, dir, waiting) },
			func(t *testing.T, dir string, a *background) {
				if err := os.Rename(dir, dir+".old"); err != nil {
					t.Fatal(err)
				}
				a.look(t, isMissing)
				write(t, dir+".old", ready) // must be ignored
				a.look(t, isMissing)
				write(t, dir, ready)
			},
		},
		{
			"a status of another boot first",
			func(t *testing.T, dir string) { write(t, dir, Status{State: Ready, BootID: "a"}) },
			func(t *testing.T, dir string, a *background) {
				write(t, dir, waiting)
				a.look(t, isWaiting)
				write(t, dir, ready)
			},
		},
		{
			"a thousand renames",
			func(t *testing.T, dir string) { write(t, dir, waiting) },
			func(t *testing.T, dir string, _ *background) {
				for i := range 1000 {
					write(t, dir, Status{State: Waiting, BootID: "b", Attempts: i + 1})
				}
				write(t, dir, ready)
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "deep", "down", "imds")
			if tt.before != nil {
				tt.before(t, dir)
			}
			a := startWait(t, dir, "b")
			tt.after(t, dir, a)
			a.end(t, Ready, "b")
		})
	}
}

// Wait accepts a status of any boot only if bootID is AnyBoot.
func TestWaitForAnyBoot(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, Status{State: Ready, BootID: "another"})
	st, err := Wait(t.Context(), dir, AnyBoot, nil)
	if err != nil || st.BootID != "another" {
		t.Errorf("%+v %v", st, err)
	}
	for _, boot := range []string{"b", ""} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		st, err = Wait(ctx, dir, boot, nil)
		if !errors.Is(err, ErrOtherBoot) || !strings.Contains(err.Error(), "waiting for the gate of "+dir+": enough; ") || st.State != "" {
			t.Errorf("%+v %v", st, err)
		}
	}
}

// An error that waiting cannot fix ends the wait at once.
func TestWaitFails(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(dir string) error
		want  error
	}{
		"truncated": {func(dir string) error { return os.WriteFile(filepath.Join(dir, StatusFile), []byte("{"), 0o644) }, ErrNotOurs},
		"later": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, StatusFile), []byte(`{"schema": 2}`), 0o644)
		}, ErrLaterSchema},
		"a link":          {func(dir string) error { return os.Symlink("/dev/null", filepath.Join(dir, StatusFile)) }, ErrNotOurs},
		"not a directory": {func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o644)) }, unix.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.plant(dir); err != nil {
				t.Fatal(err)
			}
			if st, err := Wait(t.Context(), dir, "b", nil); !errors.Is(err, tt.want) || st.State != "" {
				t.Errorf("%+v %v, want %v", st, err, tt.want)
			}
		})
	}
	// The file can also become invalid during the wait.
	dir := t.TempDir()
	a := startWait(t, dir, "b")
	put(t, filepath.Join(dir, ".new"), "{")
	if err := os.Rename(filepath.Join(dir, ".new"), filepath.Join(dir, StatusFile)); err != nil {
		t.Fatal(err)
	}
	if <-a.done; !errors.Is(a.err, ErrNotOurs) {
		t.Error(a.err)
	}
}

func TestBootID(t *testing.T) {
	const random = "/proc/sys/kernel/random/boot_id"
	want := unknownBoot
	if text, err := os.ReadFile(random); err == nil {
		want = strings.TrimSpace(string(text))
	}
	if got := BootID(); got != want || len(got) != 36 {
		t.Errorf("%q, want %q", got, want)
	}
	for boot, want := range map[string]bool{"b": true, AnyBoot: true, "": false, "c": false} {
		if err := (Status{BootID: "b"}).CheckBoot(boot); (err == nil) != want || err != nil && !errors.Is(err, ErrOtherBoot) {
			t.Errorf("%q: %v", boot, err)
		}
	}
	if err := (Status{BootID: "\x1b[2J"}).CheckBoot("b"); strings.Contains(fmt.Sprint(err), "\x1b") {
		t.Errorf("%q", err)
	}
}
