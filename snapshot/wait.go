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
	// pollInterval is how often the status is read if inotify reports no change. It
	// detects that the daemon's process has ended, and changes in file systems without
	// inotify.
	pollInterval = time.Second
	// deniedLimit is how long permission to read the status may be denied. A new
	// directory gets its final mode only after it was created, and until then
	// unprivileged readers cannot open it. The limit is less than pollInterval, so that
	// the next poll reports the error.
	deniedLimit = pollInterval / 2
)

// Progress is what [Wait] found when it last read the status.
type Progress struct {
	// Status is the status of this boot, which is still [Waiting]. It is the zero Status
	// if Err is not nil.
	Status Status
	// Err is the reason why there is no status of this boot yet. It matches
	// [io/fs.ErrNotExist], [ErrOtherBoot] or, for at most a second,
	// [io/fs.ErrPermission].
	Err error
	// Gone is true if the daemon has ended without writing a final status. The wait
	// continues, because systemd restarts the daemon after a crash.
	Gone bool
}

// Wait blocks until the gate in dir, such as /run/imds, is decided. bootID is [BootID] or
// [AnyBoot]. Every state except [Waiting] is returned without an error, so the caller must
// check the State. dir need not exist yet, and may be removed and created again. Changes
// are noticed at once through inotify(7) or, where that does not work, within a second.
//
// An error that matches [ErrNotOurs] or [ErrLaterSchema] ends the wait at once: status.json
// is never partially written, so waiting would not help. If reading the status is not
// permitted, the wait ends after a second, because a new directory gets its mode only after
// it was created. Other errors are those of [ReadStatusJSON], except those that
// Progress.Err describes. If ctx ends, the error wraps its cause and the last
// Progress.Err, if that is not nil, and the Status is the last one of this boot or the zero
// Status.
//
// If progress is not nil, it is called on the caller's goroutine while the gate is waiting:
// at the start, after each change, and once a second.
func Wait(ctx context.Context, dir, bootID string, progress func(Progress)) (Status, error) {
	w := &waiter{dir: dir, boot: bootID, progress: progress, gone: Status.ProcessGone}
	n := watchDir(dir)
	defer n.close()
	return w.run(ctx, n.rearm, n.changed)
}

// waiter is the state of one Wait.
type waiter struct {
	dir, boot string
	progress  func(Progress)
	gone      func(Status) bool
	last      Progress
	denied    time.Time // since when permission is denied; zero if it is not
}

// run reads the status, then waits for a reason to read it again. It calls rearm before
// each read; changed must receive a value after every later change.
func (w *waiter) run(ctx context.Context, rearm func(), changed <-chan struct{}) (Status, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		rearm()
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
		if time.Since(denied) >= deniedLimit {
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
	// The daemon writes its final status before it exits, but may have done both after
	// its status was read here.
	if st, _, err := ReadStatusJSON(w.dir, w.boot); err == nil && st.State != Waiting {
		w.last.Status = st
		return true, nil
	}
	w.last.Gone = true
	return false, nil
}

// end returns the result after ctx has ended. At a deadline it reads the status once more,
// so that a status that comes together with the deadline wins.
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
