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

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// seen is one content of status.json and when it was first there.
type seen struct {
	at     time.Duration
	status snapshot.Status
}

// watched runs the trial and reads status.json every 50 ms meanwhile. Whatever
// is there is valid, at every moment.
func (tr *trial) watched(t *testing.T) []seen {
	t.Helper()
	var all []seen
	synctest.Test(t, func(t *testing.T) {
		done, gone := make(chan struct{}), make(chan struct{})
		start, last := time.Now(), ""
		go func() {
			defer close(gone)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				if text := tr.peek(t); text != last {
					last = text
					st, err := snapshot.ReadStatus(tr.dir)
					if err != nil {
						t.Error(err)
					}
					all = append(all, seen{time.Since(start), st})
				}
			}
		}()
		tr.here(t)
		close(done)
		<-gone
	})
	tr.report(t)
	return all
}

// peek is status.json, held against its schema; "" while there is none.
func (tr *trial) peek(t *testing.T) string {
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

// While the gate waits, status.json says so: from the start, on change, at most
// once a second, and never backwards.
func TestStatusFile(t *testing.T) {
	for _, fault := range []string{
		"refuse:7s,ok", "unreachable:2s,refuse:2s,503:2s,ok", "hang:7s,ok", "blackhole:7s,ok", "404@meta-data/tags/**:7s,ok",
		"429;retry-after=3:7s,ok",
	} {
		t.Run(fault, func(t *testing.T) {
			tr := faulty(t, fault).require(required)
			all := tr.watched(t)
			if len(all) < 3 {
				t.Fatalf("status.json was written %d times in %v", len(all), tr.elapsed)
			}
			last := seen{}
			for _, s := range all {
				if s.status.State != snapshot.Waiting || s.status.PID == nil || s.status.ExitCode != nil || s.status.ReadyAt != nil {
					t.Errorf("at %v: %+v", s.at, s.status)
				}
				if s.status.Attempts < last.status.Attempts || s.status.Requests < last.status.Requests || s.status.Elapsed < last.status.Elapsed {
					t.Errorf("at %v it goes back: %+v after %+v", s.at, s.status, last.status)
				}
				if last.status.UpdatedAt != nil && s.status.UpdatedAt.Sub(*last.status.UpdatedAt) < time.Second {
					t.Errorf("written at %v and at %v", last.status.UpdatedAt, s.status.UpdatedAt)
				}
				last = s
			}
			if late := tr.elapsed - last.at; late > 5*time.Second {
				t.Errorf("nothing new for the last %v", late)
			}
		})
	}
}

// What has changed is in the file within a second.
func TestStatusFileIsTimely(t *testing.T) {
	all := faulty(t, "hangx1,refuse:9s,ok").alone().watched(t)
	refused, endpoint := time.Duration(0), time.Duration(0)
	for _, s := range all {
		if s.status.LastError != nil && s.status.LastError.Class == "connection-refused" && refused == 0 {
			refused = s.at
		}
		if s.status.Endpoint != nil && endpoint == 0 {
			endpoint = s.at
		}
	}
	if refused < 2*time.Second || refused > 3100*time.Millisecond {
		t.Errorf("connection-refused was in the file at %v, and happened at 2.05s", refused)
	}
	if endpoint != 0 {
		t.Errorf("an endpoint that never answered is in the file at %v", endpoint)
	}
}

// Every number of the final status, once.
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
	// 9 before the document was had (two of them with a token), then the other.
	if got := len(tr.begins()); st.Requests != got {
		t.Errorf("%d requests, and %d connections", st.Requests, got)
	}
}

// A path that was had after failures has the class of its last one, or none:
// ok is what counts.
func TestStatusFileOfAFailedPath(t *testing.T) {
	tr := newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("503@meta-data/macx1,ok")...)).
		require("meta-data/mac", "meta-data/spot/instance-action").patience(3, time.Minute).run(t)
	r := tr.status.Required
	if !r["meta-data/mac"].OK || r["meta-data/spot/instance-action"].OK || *r["meta-data/spot/instance-action"].Class != "404" {
		t.Errorf("required %v", r)
	}
	if tr.status.Errors["503"] != 1 || tr.status.Errors["404"] != 3 || tr.status.Attempts != 6 {
		t.Errorf("status %+v", tr.status)
	}
}
