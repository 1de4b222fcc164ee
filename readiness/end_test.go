// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// READY=1 and the final STATUS= are one datagram. Before it is sent, all files and the
// final status.json are in place.
func TestReadyComesLast(t *testing.T) {
	for _, tt := range []struct{ name, fault, state, text string }{
		{"ready", "refuse:1s,ok", snapshot.Ready, "ready in 1.2 s: i-0123456789abcdef0, 6 attempts"},
		{"at once", "", snapshot.Ready, "ready in 0.0 s: i-0123456789abcdef0, 1 attempt"},
		{"degraded", "403@put", snapshot.Degraded, "degraded: no dynamic/instance-identity/document: disabled (on_disabled = continue)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault)
			tr.config.OnDisabled = readiness.Continue
			seen := snapshot.Status{}
			tr.notify = func(state string) error {
				if strings.HasPrefix(state, "READY=1\n") {
					seen, _ = snapshot.ReadStatus(tr.dir)
					for name := range seen.Files {
						if _, err := os.Stat(filepath.Join(tr.dir, name)); err != nil {
							t.Errorf("READY=1 before %v", err)
						}
					}
				}
				return nil
			}
			tr.run(t)
			if seen.State != tt.state || seen.ExitCode == nil || *seen.ExitCode != 0 || seen.PID != nil || seen.ReadyAt == nil {
				t.Errorf("at READY=1 the status is %+v", seen)
			}
			if last := tr.datagrams[len(tr.datagrams)-1].state; last != "READY=1\nSTATUS="+tt.text {
				t.Errorf("the last datagram is %q, want %q", last, tt.text)
			}
		})
	}
}

// ERRNO= is sent after the final status.json is written.
func TestFailureComesLast(t *testing.T) {
	tr := faulty(t, "503").limits(2, time.Minute)
	var seen snapshot.Status
	tr.notify = func(state string) error {
		if strings.Contains(state, "ERRNO=") {
			seen, _ = snapshot.ReadStatus(tr.dir)
		}
		return nil
	}
	tr.run(t)
	if seen.State != snapshot.Failed || seen.ExitCode == nil || *seen.ExitCode != 75 {
		t.Errorf("at ERRNO= the status is %+v", seen)
	}
}

// If READY=1 cannot be sent, the run fails with exit code 1, and status.json and the
// metrics are corrected.
func TestReadyThatFails(t *testing.T) {
	tr := faulty(t, "")
	metrics := tr.withMetrics(t)
	tr.notify = func(state string) error {
		if strings.HasPrefix(state, "READY=1") {
			return errors.New("sendto: connection refused")
		}
		return nil
	}
	tr.run(t)
	if tr.exit != readiness.ExitFailure || tr.status.State != snapshot.Failed || tr.status.Generation != 1 {
		t.Errorf("exit %d, status %+v", tr.exit, tr.status)
	}
	if lines := tr.logged("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "sending READY=1: sendto: connection refused") {
		t.Errorf("errors %q", lines)
	}
	if _, err := os.Stat(filepath.Join(tr.dir, "identity.json")); err != nil {
		t.Error(err)
	}
	if text := metrics(); !strings.Contains(text, "state=\"failed\"} 1\n") || !strings.Contains(text, "exit_code 1\n") || strings.Contains(text, "ready_time") {
		t.Errorf("metrics:\n%s", text)
	}
}

// The other datagrams may fail.
func TestOtherDatagramsMayFail(t *testing.T) {
	tr := faulty(t, "refuse:2s,ok")
	tr.notify = func(state string) error {
		if strings.HasPrefix(state, "READY=1") {
			return nil
		}
		return errors.New("sendto: no buffer space available")
	}
	if tr.run(t); tr.exit != readiness.ExitOK || len(tr.logged("WARN")) != 0 {
		t.Errorf("exit %d, warnings %q", tr.exit, tr.logged("WARN"))
	}
}

// The first STATUS= is sent at the start, before any request.
func TestFirstStatus(t *testing.T) {
	tr := faulty(t, "hang").limits(1, time.Minute)
	tr.notify = func(string) error {
		if len(tr.datagrams) == 0 && len(tr.sim.Trace()) > 0 {
			t.Errorf("requests before the first datagram: %v", tr.sim.Trace())
		}
		return nil
	}
	tr.run(t)
	if first := tr.datagrams[0]; first.at != 0 || !strings.HasPrefix(first.state, "STATUS=") {
		t.Errorf("the first datagram is %+v", first)
	}
}

// The first request is sent before the first status.json is written, so that writing does
// not prolong the wait.
func TestFirstRequestComesFirst(t *testing.T) {
	tr := faulty(t, "")
	var requests atomic.Int32
	tr.client.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := tr.sim.Dial(ctx, network, addr)
		return &observed{conn, func() {
			if _, err := os.Stat(filepath.Join(tr.dir, "status.json")); requests.Add(1) == 1 && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("status.json exists before the first request: %v", err)
			}
		}}, err
	}
	if tr.run(t); requests.Load() < 2 || tr.exit != readiness.ExitOK {
		t.Errorf("exit %d after %d requests", tr.exit, requests.Load())
	}
}

// If the first status.json cannot be written, the run ends, whatever IMDS does.
func TestFirstStatusCannotBeWritten(t *testing.T) {
	for fault, at := range map[string]time.Duration{"": 0, "hang": 0, "refuse": 0, "blackhole": time.Millisecond} {
		tr := faulty(t, fault)
		tr.notify = func(state string) error {
			if strings.HasPrefix(state, "STATUS=waiting for IMDS") {
				return os.MkdirAll(filepath.Join(tr.dir, ".status.json.tmp", "x"), 0o755)
			}
			return nil
		}
		tr.run(t)
		if tr.exit != readiness.ExitNoPerm || tr.elapsed != at || len(tr.logged("ERROR")) != 1 {
			t.Errorf("%q: exit %d after %v, errors %q", fault, tr.exit, tr.elapsed, tr.logged("ERROR"))
		}
	}
}

// observed is a connection that calls before for each write.
type observed struct {
	net.Conn
	before func()
}

func (o *observed) Write(p []byte) (int, error) {
	o.before()
	return o.Conn.Write(p)
}
