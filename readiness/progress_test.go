// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// recorded is a progress that records when status.json is written, instead of writing it.
// A write fails while broken returns true.
type recorded struct {
	*progress
	at     []time.Duration
	broken func() bool
}

func newRecorded() *recorded {
	w := &recorded{broken: func() bool { return false }}
	w.progress = &progress{
		log: slog.New(slog.DiscardHandler), notify: func(string) error { return nil },
		requests: func() int { return 0 }, endpoint: func() string { return "" }, start: time.Now(),
		status:  snapshot.Status{Errors: map[string]int{}, Required: map[string]snapshot.Requirement{}},
		streaks: map[string]*streak{},
	}
	w.write = func(snapshot.Status, bool) error {
		w.mu.Lock()
		w.at = append(w.at, time.Since(w.start))
		w.mu.Unlock()
		if w.broken() {
			return errors.New("no space left")
		}
		return nil
	}
	return w
}

// times returns when it was written so far.
func (w *recorded) times() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.at)
}

func (w *recorded) fail(path string) {
	w.failed(0, policy.Failure{Class: policy.ConnectionRefused, Path: path}, policy.Verdict{}, errors.New("refused"))
}

// Two paths fail at the moment at which status.json is due.
func TestStatusIsWrittenOnceASecond(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			w := newRecorded()
			w.launch(func(error) {})
			if err := w.begin(); err != nil {
				t.Fatal(err)
			}
			var both sync.WaitGroup
			for _, path := range []string{"a", "b"} {
				both.Go(func() {
					time.Sleep(500 * time.Millisecond)
					w.fail(path) // must be written by 1.5 s
					time.Sleep(time.Second)
					w.fail(path)
				})
			}
			both.Wait()
			time.Sleep(5 * time.Second)
			w.end()
			at := w.times()
			for i := range at[1:] {
				if at[i+1]-at[i] < time.Second {
					t.Fatalf("written at %v", at)
				}
			}
			if len(at) < 2 || len(at) > 3 {
				t.Fatalf("written at %v", at)
			}
		})
	}
}

// The first status.json is not delayed by a request that fails, or that is not sent.
func TestFirstStatusFile(t *testing.T) {
	const request = 300 * time.Microsecond
	for name, tt := range map[string]struct {
		event func(*recorded)
		want  time.Duration
	}{
		"sent":    {func(w *recorded) { w.hurry() }, request},
		"failed":  {func(w *recorded) { w.fail("a") }, request},
		"decided": {func(w *recorded) { _ = w.begin() }, request},
		"silent":  {func(*recorded) {}, firstWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newRecorded()
			w.launch(func(error) {})
			time.Sleep(request)
			if at := w.times(); len(at) != 0 {
				t.Errorf("%s: written at %v", name, at)
			}
			tt.event(w)
			time.Sleep(10 * time.Millisecond)
			if at := w.times(); !slices.Equal(at, []time.Duration{tt.want}) {
				t.Errorf("%s: written at %v", name, at)
			}
			w.end()
		})
	}
}

// A first status.json that cannot be written ends the wait.
func TestFirstStatusFileFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorded()
		w.broken = func() bool { return true }
		ctx, abort := context.WithCancelCause(t.Context())
		w.launch(abort)
		<-ctx.Done()
		if err := w.begin(); err == nil || context.Cause(ctx) != err {
			t.Errorf("the wait ends with %v, the write with %v", context.Cause(ctx), err)
		}
		w.end()
	})
}

// A failed write is repeated, even if nothing changes, but never after the final status.
func TestStatusIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorded()
		w.broken = func() bool { return len(w.at) == 2 || len(w.at) == 3 }
		w.launch(func(error) {})
		if err := w.begin(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		w.fail("a")
		time.Sleep(time.Minute)
		w.fail("a")
		if err := w.finish(func(*snapshot.Status) {}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		want := []time.Duration{0, 2 * time.Second, 3 * time.Second, 4 * time.Second, 62 * time.Second, 62 * time.Second}
		if at := w.times(); !slices.Equal(at, want) {
			t.Errorf("written at %v, want %v", at, want)
		}
	})
}

// A notification socket that takes 1.5 s for each datagram delays neither an attempt nor,
// by more than one datagram, the end.
func TestSlowNotificationSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorded()
		w.notify = func(state string) error {
			if !strings.HasPrefix(state, "STATUS=waiting for IMDS\n") {
				time.Sleep(1500 * time.Millisecond)
			}
			return nil
		}
		w.promised = time.Now()
		w.launch(func(error) {})
		if err := w.begin(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var both sync.WaitGroup
		for _, path := range []string{"a", "b"} {
			both.Go(func() {
				for range 100 {
					w.step(time.Hour)
					w.fail(path)
					w.step(time.Minute)
				}
			})
		}
		both.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("200 attempts waited %v for the socket", took)
		}
		if w.attempts() != 200 {
			t.Errorf("%d attempts, want 200", w.attempts())
		}
		w.end() // the current datagram is sent, but no other
		if took := time.Since(begun); took > 1500*time.Millisecond {
			t.Errorf("the end took %v", took)
		}
	})
}

// The hint depends on the error of the write.
func TestHintOfAPermission(t *testing.T) {
	r := &run{Daemon: &Daemon{Dir: "/run/imds"}}
	for err, want := range map[error]string{
		&fs.PathError{Op: "openat", Err: syscall.EACCES}: "have to belong to the user",
		&fs.PathError{Op: "write", Err: syscall.ENOSPC}:  "full or read-only file system",
	} {
		if got := r.cannotWrite(err).hint; !strings.Contains(got, want) {
			t.Errorf("%v: %s", err, got)
		}
	}
}
