// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// A signal before READY=1 ends the run within a second, with STOPPING=1. status.json has
// the class interrupted and keeps the errors.
func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		at          time.Duration
		signal      syscall.Signal
		set         func(*trial)
		errors      string
	}{
		{"at once", "refuse", 0, syscall.SIGTERM, nil, "connection-refused:1"},
		{"in a pause", "refuse", 1100 * time.Millisecond, syscall.SIGTERM, nil, "connection-refused:5"},
		{"SIGINT", "refuse", 1100 * time.Millisecond, syscall.SIGINT, nil, "connection-refused:5"},
		{"in a connect", "blackhole", 100 * time.Millisecond, syscall.SIGTERM, nil, ""},
		{"in the PUT", "hang", time.Second, syscall.SIGTERM, nil, ""},
		{"in the GET", "stall@get", time.Second, syscall.SIGTERM, nil, ""},
		{"in a long pause", "503;retry-after=30", 10 * time.Second, syscall.SIGTERM, nil, "503:1"},
		{"while another path is awaited", "404@meta-data/tags/**", 3 * time.Second, syscall.SIGTERM, func(tr *trial) { tr.require(required) }, "404:9"},
		{"in the GET of another path", "hang@meta-data/tags/**", time.Second, syscall.SIGTERM, func(tr *trial) { tr.require(required) }, ""},
		{"in the collection", "slow=1s@meta-data/**", 1500 * time.Millisecond, syscall.SIGTERM, nil, ""},
		{"in a pause of the collection", "503;retry-after=4@meta-data/", 3 * time.Second, syscall.SIGTERM, nil, ""},
		{"in a paced collection", "", 3500 * time.Millisecond, syscall.SIGTERM, func(tr *trial) { tr.config.Metadata.RequestsPerSecond = 2 }, ""},
		{"in a paced gate", "", 500 * time.Millisecond, syscall.SIGINT, func(tr *trial) { tr.config.Metadata.RequestsPerSecond = 1 }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).signal(tt.at, tt.signal)
			if tt.set != nil {
				tt.set(tr)
			}
			tr.run(t)
			tr.wantInterrupted(t, tt.signal, tt.at)
			if tt.at > 0 && tr.errorCounts() != tt.errors {
				t.Errorf("errors %q, want %q", tr.errorCounts(), tt.errors)
			}
		})
	}
}

// wantInterrupted checks the result of a signal before READY=1.
func (tr *trial) wantInterrupted(t *testing.T, s syscall.Signal, at time.Duration) {
	t.Helper()
	if tr.exit != readiness.Exit(128+int(s)) || tr.status.State != snapshot.Failed || tr.lastClass() != "interrupted" {
		t.Fatalf("exit %d, state %s, class %q", tr.exit, tr.status.State, tr.lastClass())
	}
	if late := tr.elapsed - at; late > time.Second {
		t.Errorf("ended %v after the signal", late)
	}
	if last := tr.status.LastError; last.Path != "" || last.Hint == "" || last.Message == "" {
		t.Errorf("last_error %+v", last)
	}
	stopping := 0
	for _, n := range tr.datagrams {
		if strings.Contains(n.state, "STOPPING=1") {
			stopping++
		}
		if strings.Contains(n.state, "ERRNO=") {
			t.Errorf("ERRNO= after a signal: %q", n.state)
		}
	}
	if stopping != 1 {
		t.Errorf("STOPPING=1 was sent %d times: %+v", stopping, tr.datagrams)
	}
	if n := len(tr.logged("ERROR")); n != 0 {
		t.Errorf("errors in the log: %q", tr.logged("ERROR"))
	}
}

// A signal while the files are written counts, because READY=1 was not sent.
func TestSignalWhilePublishing(t *testing.T) {
	tr := faulty(t, "")
	tr.onLog = func(line string) {
		if strings.Contains(line, "msg=\"writing the files\"") {
			tr.cancel(&readiness.Interrupted{Signal: syscall.SIGTERM})
		}
	}
	tr.run(t)
	if tr.status.Generation != 1 {
		t.Fatalf("generation %d: the files were not written", tr.status.Generation)
	}
	tr.wantInterrupted(t, syscall.SIGTERM, tr.elapsed)
}

// After a signal before the first request, there are no requests.
func TestSignalBeforeTheFirstRequest(t *testing.T) {
	tr := faulty(t, "")
	tr.notify = func(state string) error {
		if strings.HasPrefix(state, "STATUS=waiting") {
			tr.cancel(&readiness.Interrupted{Signal: syscall.SIGTERM})
		}
		return nil
	}
	tr.run(t)
	tr.wantInterrupted(t, syscall.SIGTERM, 0)
	if len(tr.sim.Requests()) != 0 {
		t.Errorf("requests: %v", tr.sim.Requests())
	}
}

// If the context ends without a signal, the run fails.
func TestContextEnds(t *testing.T) {
	for _, cause := range []error{nil, context.Canceled, errors.New("stopped by the caller")} {
		tr := faulty(t, "hang")
		tr.cancels = append(tr.cancels, cancel{time.Second, cause})
		tr.run(t)
		if tr.exit != readiness.ExitFailure || tr.lastClass() != "interrupted" || tr.elapsed != time.Second {
			t.Errorf("%v: exit %d, class %q after %v", cause, tr.exit, tr.lastClass(), tr.elapsed)
		}
	}
}
