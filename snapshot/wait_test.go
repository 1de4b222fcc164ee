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

// patience bounds each real wait; a wait that works takes milliseconds.
const patience = 20 * time.Second

// await is a Wait in the background.
type await struct {
	looks chan Progress // the looks that did not end it; the latest 1000
	done  chan struct{}
	st    Status
	err   error
}

// waitFor starts it, and returns when it has looked for the first time and so
// watches, or is done.
func waitFor(t *testing.T, dir, bootID string) *await {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	a := &await{looks: make(chan Progress, 1000), done: make(chan struct{})}
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

// look waits for a look that is as it should be, or for the end.
func (a *await) look(t *testing.T, want func(Progress) bool) {
	t.Helper()
	for {
		select {
		case p := <-a.looks:
			if want(p) {
				return
			}
		case <-a.done:
			return
		case <-time.After(patience):
			t.Fatal("it never looks so")
		}
	}
}

// end waits for the end, and wants this state and boot.
func (a *await) end(t *testing.T, state, boot string) {
	t.Helper()
	<-a.done
	if a.err != nil || a.st.State != state || a.st.BootID != boot {
		t.Errorf("it ends with %+v %v, want %s of %s", a.st, a.err, state, boot)
	}
}

func TestWaitForEveryState(t *testing.T) {
	for _, state := range []string{Ready, Degraded, Skipped, Failed} {
		t.Run(state, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "imds")
			write(t, dir, Status{State: Waiting, BootID: "b"})
			a := waitFor(t, dir, "b")
			write(t, dir, Status{State: state, BootID: "b", ExitCode: new(75)})
			a.end(t, state, "b")
			if a.st.ExitCode == nil || *a.st.ExitCode != 75 {
				t.Errorf("%+v", a.st)
			}
			// One that is decided already is not waited for.
			st, err := Wait(t.Context(), dir, "b", func(p Progress) { t.Errorf("%+v", p) })
			if err != nil || st.State != state {
				t.Errorf("%+v %v", st, err)
			}
		})
	}
}

// What happens to the directory while somebody waits. The clock of Wait would
// find it out as well: TestNotices holds that inotify does.
func TestWaitThroughChanges(t *testing.T) {
	ready := Status{State: Ready, BootID: "b"}
	waiting := Status{State: Waiting, BootID: "b"}
	isWaiting := func(p Progress) bool { return p.Status.State == Waiting }
	isNothing := func(p Progress) bool { return errors.Is(p.Err, os.ErrNotExist) }
	tests := []struct {
		name   string
		before func(t *testing.T, dir string)
		after  func(t *testing.T, dir string, a *await)
	}{
		{"a directory that appears", nil, func(t *testing.T, dir string, _ *await) { write(t, dir, ready) }},
		{"with its parents, one by one", nil, func(t *testing.T, dir string, _ *await) {
			for _, d := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write(t, dir, ready)
		}},
		{"moved into place whole", nil, func(t *testing.T, dir string, _ *await) {
			root := filepath.Dir(filepath.Dir(dir))
			write(t, root+".new/down/imds", ready)
			if err := os.Rename(root+".new", root); err != nil {
				t.Fatal(err)
			}
		}},
		{
			"removed and made again",
			func(t *testing.T, dir string) { write(t, dir, waiting) },
			func(t *testing.T, dir string, a *await) {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				a.look(t, isNothing)
				write(t, dir, waiting)
				a.look(t, isWaiting)
				if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
					t.Fatal(err)
				}
				a.look(t, isNothing)
				write(t, dir, ready)
			},
		},
		{
			"moved away, another in its place",
			func(t *testing.T, dir string) { write(t, dir, waiting) },
			func(t *testing.T, dir string, a *await) {
				if err := os.Rename(dir, dir+".old"); err != nil {
					t.Fatal(err)
				}
				a.look(t, isNothing)
				write(t, dir+".old", ready) // of no interest any more
				a.look(t, isNothing)
				write(t, dir, ready)
			},
		},
		{
			"a status of another boot first",
			func(t *testing.T, dir string) { write(t, dir, Status{State: Ready, BootID: "a"}) },
			func(t *testing.T, dir string, a *await) {
				write(t, dir, waiting)
				a.look(t, isWaiting)
				write(t, dir, ready)
			},
		},
		{
			"a thousand renames",
			func(t *testing.T, dir string) { write(t, dir, waiting) },
			func(t *testing.T, dir string, _ *await) {
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
			a := waitFor(t, dir, "b")
			tt.after(t, dir, a)
			a.end(t, Ready, "b")
		})
	}
}

// A status of any boot is taken where that is asked for.
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

// What waiting cannot mend is said at once.
func TestWaitForWhatIsBroken(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(dir string) error
		want  error
	}{
		"half": {func(dir string) error { return os.WriteFile(filepath.Join(dir, StatusFile), []byte("{"), 0o644) }, ErrNotOurs},
		"later": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, StatusFile), []byte(`{"schema": 2}`), 0o644)
		}, ErrLaterSchema},
		"a link":    {func(dir string) error { return os.Symlink("/dev/null", filepath.Join(dir, StatusFile)) }, ErrNotOurs},
		"no folder": {func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o644)) }, unix.ENOTDIR},
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
	// It may become so during the wait.
	dir := t.TempDir()
	a := waitFor(t, dir, "b")
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
