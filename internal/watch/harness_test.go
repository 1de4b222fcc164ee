// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/watch"
	"github.com/imds-ready/imds-ready/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	bootID = "11111111-2222-3333-4444-555555555555"
	spot   = "meta-data/spot/instance-action"
	state  = "meta-data/autoscaling/target-lifecycle-state"
)

var errStopped = errors.New("stopped by the test")

// trial is one watcher against the simulator, in virtual time.
type trial struct {
	*watch.Watcher
	sim *imdstest.Server

	start time.Time // set by run
	mu    sync.Mutex
	lines []line // of the log, at info and above
	notes []line // datagrams
}

// line is a line of text and when it was written.
type line struct {
	at   time.Duration
	text string
}

// newTrial watches two paths every 5 s. The first one does not exist.
func newTrial(t *testing.T, schedule string) *trial {
	t.Helper()
	tr := &trial{sim: imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...)}
	tr.Watcher = &watch.Watcher{
		Paths: []string{spot, state}, Interval: 5 * time.Second, Dir: t.TempDir(), BootID: bootID, Version: "1.2.3",
		Client: &imds.Client{Endpoints: []string{"http://127.0.0.1:1338"}, Dial: tr.sim.Dial},
		Log:    slog.New(slog.NewTextHandler(tr, nil)),
		Notify: func(state string) error {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			tr.notes = append(tr.notes, line{time.Since(tr.start), state})
			return nil
		},
	}
	return tr
}

// Write receives the log.
func (tr *trial) Write(text []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, line{time.Since(tr.start), strings.TrimSpace(string(text))})
	return len(text), nil
}

// run runs the watcher in a bubble, calls during meanwhile, and stops it.
func (tr *trial) run(t *testing.T, during func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer tr.sim.Close()
		tr.start = time.Now()
		ended := make(chan error)
		go func() { ended <- tr.Run(ctx) }()
		during(t)
		cancel(errStopped)
		if err := <-ended; !errors.Is(err, errStopped) {
			t.Errorf("it ended with %v", err)
		}
		if _, err := os.Lstat(filepath.Join(tr.Dir, "watch", "status.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("status.json remains: %v", err)
		}
	})
	if t.Failed() {
		for _, l := range tr.lines {
			t.Logf("%8v %s", l.at, l.text)
		}
	}
}

// until sleeps until a time since the start, and until nothing else runs.
func (tr *trial) until(at time.Duration) {
	time.Sleep(at - time.Since(tr.start))
	synctest.Wait()
}

// file returns the content of the file of a path, and fails if its mode is not 0644.
func (tr *trial) file(t *testing.T, path string) (body string, exists bool) {
	t.Helper()
	name := filepath.Join(tr.Dir, "watch", path)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	info, statErr := os.Stat(name)
	if err = errors.Join(err, statErr); err != nil || info.Mode() != 0o644 {
		t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
	}
	return string(data), true
}

// status returns the state of a path in status.json, which must be valid by its schema.
func (tr *trial) status(t *testing.T, path string) snapshot.WatchedPath {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.Dir, "watch", "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	schematest.Load(t).Check(t, "watch-status.json", data)
	st, err := snapshot.ReadWatch(tr.Dir, bootID)
	if err != nil {
		t.Fatal(err)
	}
	return st.Paths[path]
}

// logged returns when lines with a text were logged.
func (tr *trial) logged(text string) (at []time.Duration) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, l := range tr.lines {
		if strings.Contains(l.text, text) {
			at = append(at, l.at)
		}
	}
	return at
}

// rounds returns when the simulator was asked for a path, or saw a connection for "SYN".
func (tr *trial) rounds(path string) (at []time.Duration) {
	for _, r := range tr.sim.Trace() {
		if r.Path == path || r.Kind == path {
			at = append(at, r.At)
		}
	}
	return at
}

// requestsBefore returns the requests for paths before a moment.
func (tr *trial) requestsBefore(at time.Duration) []imdstest.Request {
	return slices.DeleteFunc(tr.sim.Trace(), func(r imdstest.Request) bool { return r.Kind != "GET" || r.At >= at })
}

func contains(lines []line, text string) bool {
	for _, l := range lines {
		if strings.Contains(l.text, text) {
			return true
		}
	}
	return false
}

// big is a body of n bytes.
func big(n int) string { return string(bytes.Repeat([]byte("x"), n)) }

// syncRun is run for a watcher that ends by itself during the test.
func syncRun(t *testing.T, tr *trial, during func(), ended *string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer tr.sim.Close()
		tr.start = time.Now()
		done := make(chan error, 1)
		go func() { done <- tr.Run(t.Context()) }()
		during()
		select {
		case err := <-done:
			*ended = err.Error()
		default:
			t.Error("it still runs")
		}
	})
}
