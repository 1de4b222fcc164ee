// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// statusVersion is one version of status.json and when it was first seen.
type statusVersion struct {
	at     time.Duration
	status snapshot.Status
}

// runWatched runs the trial, reads status.json every 50 ms, and returns its versions. The file
// must be valid at every moment.
func (tr *trial) runWatched(t *testing.T) []statusVersion {
	t.Helper()
	var all []statusVersion
	synctest.Test(t, func(t *testing.T) {
		done, stopped := make(chan struct{}), make(chan struct{})
		start, last := time.Now(), ""
		go func() {
			defer close(stopped)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				if text := tr.statusText(t); text != last {
					last = text
					st, err := snapshot.ReadStatus(tr.dir)
					if err != nil {
						t.Error(err)
					}
					all = append(all, statusVersion{time.Since(start), st})
				}
			}
		}()
		tr.runInBubble(t)
		close(done)
		<-stopped
	})
	tr.report(t)
	return all
}

// statusText returns status.json after checking its schema, or "" if it does not exist.
func (tr *trial) statusText(t *testing.T) string {
	data, err := os.ReadFile(filepath.Join(tr.dir, "status.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err == nil {
		err = schemas().Validate("status.json", data)
	}
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

// While the gate waits, the state is waiting. status.json is updated on change, at most
// once a second, and its counts never decrease.
func TestStatusFile(t *testing.T) {
	for _, fault := range []string{
		"refuse:7s,ok", "unreachable:2s,refuse:2s,503:2s,ok", "hang:7s,ok", "blackhole:7s,ok", "404@meta-data/tags/**:7s,ok",
		"429;retry-after=3:7s,ok",
	} {
		t.Run(fault, func(t *testing.T) {
			tr := faulty(t, fault).require(required)
			all := tr.runWatched(t)
			if len(all) < 3 {
				t.Fatalf("status.json was written %d times in %v", len(all), tr.elapsed)
			}
			last := statusVersion{}
			for _, s := range all {
				if s.status.State != snapshot.Waiting || s.status.PID == nil || s.status.ExitCode != nil || s.status.ReadyAt != nil {
					t.Errorf("at %v: %+v", s.at, s.status)
				}
				if s.status.Attempts < last.status.Attempts || s.status.Requests < last.status.Requests || s.status.Elapsed < last.status.Elapsed {
					t.Errorf("at %v a count decreases: %+v after %+v", s.at, s.status, last.status)
				}
				if last.status.UpdatedAt != nil && s.status.UpdatedAt.Sub(*last.status.UpdatedAt) < time.Second {
					t.Errorf("written at %v and at %v", last.status.UpdatedAt, s.status.UpdatedAt)
				}
				last = s
			}
			if late := tr.elapsed - last.at; late > 5*time.Second {
				t.Errorf("not updated for the last %v", late)
			}
		})
	}
}

// A change is in the file within a second.
func TestStatusFileIsTimely(t *testing.T) {
	all := faulty(t, "hangx1,refuse:9s,ok").gateOnly().runWatched(t)
	refused, endpoint := time.Duration(0), time.Duration(0)
	for _, s := range all {
		if s.status.LastError != nil && s.status.LastError.Class == "connection-refused" && refused == 0 {
			refused = s.at
		}
		if s.status.Endpoint != nil && s.at < 9*time.Second && endpoint == 0 {
			endpoint = s.at
		}
	}
	if refused < 2*time.Second || refused > 3100*time.Millisecond {
		t.Errorf("connection-refused is in the file at %v, and happened at 2.05s", refused)
	}
	if endpoint != 0 {
		t.Errorf("an endpoint that did not answer is in the file at %v", endpoint)
	}
}

// All numbers of the final status.
func TestStatusFileAtTheEnd(t *testing.T) {
	tr := faulty(t, "unreachablex2,refusex2,503x2,401@getx1,404@dynamic/**x1,ok").require(required).run(t)
	tr.wantEnd(t, want{
		0, "ready", "404", 8, tr.status.Requests,
		"401:1 404:1 503:2 connection-refused:2 unreachable:2", tr.elapsed,
	})
	st := tr.status
	if st.Endpoint == nil || *st.Endpoint != "http://127.0.0.1:1338" {
		t.Errorf("endpoint %v", st.Endpoint)
	}
	if got := st.DeadlineAt.Sub(*st.StartedAt); got != 5*time.Minute {
		t.Errorf("deadline_at after %v", got)
	}
	if got := st.ReadyAt.Sub(*st.StartedAt); got != tr.elapsed || time.Duration(st.Elapsed) != tr.elapsed {
		t.Errorf("ready_at after %v, elapsed %v, want %v", got, st.Elapsed, tr.elapsed)
	}
	if e := st.LastError; e.Path != "dynamic/instance-identity/document" || e.At.Before(*st.StartedAt) || e.Message == "" {
		t.Errorf("last_error %+v", e)
	}
	if r := st.Required; len(r) != 2 || !r[required].OK || r[required].Class != nil {
		t.Errorf("required %v", r)
	}
	if got := len(tr.connectTimes()); st.Requests != got {
		t.Errorf("%d requests, and %d connections", st.Requests, got)
	}
}

// A required path has the class of its last failure if it was not fetched.
func TestStatusFileOfAFailedPath(t *testing.T) {
	tr := faulty(t, "503@meta-data/macx1,ok").require("meta-data/mac", "meta-data/spot/instance-action").limits(3, time.Minute).run(t)
	r := tr.status.Required
	if !r["meta-data/mac"].OK || r["meta-data/spot/instance-action"].OK || *r["meta-data/spot/instance-action"].Class != "404" {
		t.Errorf("required %v", r)
	}
	if tr.status.Errors["503"] != 1 || tr.status.Errors["404"] != 3 || tr.status.Attempts != 6 {
		t.Errorf("status %+v", tr.status)
	}
}
