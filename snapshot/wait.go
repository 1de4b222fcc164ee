// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

const (
	// lookEvery is how often the status is looked at when nothing tells of a
	// change: for the daemon's process, and for file systems without inotify.
	lookEvery = time.Second
	// deniedFor is how long the status may be unreadable: between the making of the
	// directory and its final mode, a reader without privileges is shut out. So the
	// second look of the clock tells.
	deniedFor = lookEvery / 2
)

// Progress is what [Wait] has seen at one look.
type Progress struct {
	// Status is of this boot and not decided yet; the zero Status when there is
	// none, which has no State.
	Status Status
	// Err is why there is no Status: it matches [io/fs.ErrNotExist], [ErrOtherBoot]
	// or, for a second, [io/fs.ErrPermission]; nil when there is one.
	Err error
	// Gone is true when the process that waits for IMDS has ended without a word.
	// systemd starts it anew after a crash, so the wait goes on.
	Gone bool
}

// Wait blocks until the gate of dir, such as /run/imds, is decided in the boot
// that bootID names: [BootID], or [AnyBoot]. Every state but [Waiting] is returned
// without an error: look at it. dir need not exist yet, and may be removed and made
// again. A change is seen at once by inotify(7); where that does not work, within
// a second.
//
// A status that is not ours or of a later schema ends the wait at once: it is never
// half written, so waiting would not mend it. So does one that cannot be read, after
// a second, as the directory gets its mode only after it was made. The errors are
// those of [ReadStatusJSON], but for what Progress has in Err. When ctx ends, the
// error wraps the cause, and the last of Progress.Err if that is not nil; the
// Status is the last one of this boot, or the zero one.
//
// progress, unless nil, is called on the caller's goroutine: at the start, at each
// change, and once a second.
func Wait(ctx context.Context, dir, bootID string, progress func(Progress)) (Status, error) {
	w := &waiter{dir: dir, boot: bootID, progress: progress, gone: Status.ProcessGone}
	n := notice(dir)
	defer n.close()
	return w.run(ctx, n.aim, n.changed)
}

// waiter is one Wait.
type waiter struct {
	dir, boot string
	progress  func(Progress)
	gone      func(Status) bool
	last      Progress
	denied    time.Time // since when the status cannot be read; zero: it can
}

// run looks, then waits for a reason to look again. aim, before each look, has
// changed tell of everything after it.
func (w *waiter) run(ctx context.Context, aim func(), changed <-chan struct{}) (Status, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		aim()
		if decided, err := w.look(); decided || err != nil {
			return w.last.Status, err
		}
		if w.progress != nil {
			w.progress(w.last)
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return w.end(ctx)
		}
	}
}

// look reads the status. An error ends the wait.
func (w *waiter) look() (decided bool, err error) {
	st, _, err := ReadStatusJSON(w.dir, w.boot)
	denied := w.denied
	w.denied, w.last = time.Time{}, Progress{}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrOtherBoot):
		w.last.Err = err
		return false, nil
	case errors.Is(err, fs.ErrPermission):
		if denied.IsZero() {
			denied = time.Now()
		}
		if time.Since(denied) >= deniedFor {
			return false, err
		}
		w.denied, w.last.Err = denied, err
		return false, nil
	case err != nil:
		return false, err
	}
	w.last.Status = st
	if w.boot == AnyBoot || st.State != Waiting || !w.gone(st) {
		return st.State != Waiting, nil
	}
	// It may have told how it ended since its status was read: its last word comes
	// before its end.
	if st, _, err := ReadStatusJSON(w.dir, w.boot); err == nil && st.State != Waiting {
		w.last.Status = st
		return true, nil
	}
	w.last.Gone = true
	return false, nil
}

// end is the end of ctx. At a deadline it looks once more: when the status and the
// deadline come together, the status wins.
func (w *waiter) end(ctx context.Context) (Status, error) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if decided, err := w.look(); decided || err != nil {
			return w.last.Status, err
		}
	}
	err := fmt.Errorf("waiting for the gate of %s: %w", w.dir, context.Cause(ctx))
	if w.last.Err != nil {
		err = fmt.Errorf("%w; %w", err, w.last.Err)
	}
	return w.last.Status, err
}
