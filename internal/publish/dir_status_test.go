// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// full returns a status with a value in every field, with times that are not in UTC.
func full() snapshot.Status {
	zone := time.FixedZone("IST", 5*3600+1800)
	at := func(ms int) time.Time { return time.Date(2026, 1, 2, 8, 34, 5, ms*1e6+999, zone) }
	return snapshot.Status{
		Attempts: 5, BootID: "0c0ffee0-0000-4000-8000-000000000001", Changed: []string{"tags.json"}, CollectedAt: new(at(400)), DeadlineAt: new(at(0).Add(5 * time.Minute)),
		Elapsed: snapshot.Seconds(2300 * time.Millisecond), Endpoint: new("http://127.0.0.1:1338"),
		Errors: map[string]int{"connection-refused": 4, "503": 1}, ExitCode: new(0),
		Files: map[string]*string{"imds.env": File{Data: []byte("x")}.Sum(), "user-data": nil}, Generation: 1,
		LastError: &snapshot.LastError{
			At: at(120), Class: "503", Hint: "wait <a bit> & see", Message: "GET: status 503",
			Path: "dynamic/instance-identity/document",
		},
		Missing: map[string]string{"meta-data/iam/info": "bad-response"}, PID: new(4711), ReadyAt: new(at(500)),
		Requests: 95,
		Required: map[string]snapshot.Requirement{
			"meta-data/iam/info":                 {Class: new("404")},
			"dynamic/instance-identity/document": {OK: true},
		},
		StaleSince: new(at(800)), StartedAt: new(at(1)), State: snapshot.Ready, UpdatedAt: new(at(999)), Version: "0.1.0",
	}
}

func TestWriteStatus(t *testing.T) {
	tests := []struct {
		name   string
		status snapshot.Status
		want   string
	}{
		{"minimal", snapshot.Status{State: snapshot.Waiting, BootID: "b"}, `{
  "attempts": 0,
  "boot_id": "b",
  "changed": [],
  "collected_at": null,
  "deadline_at": null,
  "elapsed_seconds": 0.000,
  "endpoint": null,
  "errors": {},
  "exit_code": null,
  "files": {},
  "generation": 0,
  "last_error": null,
  "missing": {},
  "missing_more": 0,
  "pid": null,
  "ready_at": null,
  "requests": 0,
  "required": {},
  "schema": 1,
  "stale_since": null,
  "started_at": null,
  "state": "waiting",
  "updated_at": null,
  "version": ""
}
`},
		{"everything", full(), `{
  "attempts": 5,
  "boot_id": "0c0ffee0-0000-4000-8000-000000000001",
  "changed": [
    "tags.json"
  ],
  "collected_at": "2026-01-02T03:04:05.4Z",
  "deadline_at": "2026-01-02T03:09:05Z",
  "elapsed_seconds": 2.300,
  "endpoint": "http://127.0.0.1:1338",
  "errors": {
    "503": 1,
    "connection-refused": 4
  },
  "exit_code": 0,
  "files": {
    "imds.env": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
    "user-data": null
  },
  "generation": 1,
  "last_error": {
    "at": "2026-01-02T03:04:05.12Z",
    "class": "503",
    "hint": "wait <a bit> & see",
    "message": "GET: status 503",
    "path": "dynamic/instance-identity/document"
  },
  "missing": {
    "meta-data/iam/info": "bad-response"
  },
  "missing_more": 0,
  "pid": 4711,
  "ready_at": "2026-01-02T03:04:05.5Z",
  "requests": 95,
  "required": {
    "dynamic/instance-identity/document": {
      "class": null,
      "ok": true
    },
    "meta-data/iam/info": {
      "class": "404",
      "ok": false
    }
  },
  "schema": 1,
  "stale_since": "2026-01-02T03:04:05.8Z",
  "started_at": "2026-01-02T03:04:05.001Z",
  "state": "ready",
  "updated_at": "2026-01-02T03:04:05.999Z",
  "version": "0.1.0"
}
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			if err := d.WriteStatus(tt.status); err != nil {
				t.Fatal(err)
			}
			got := get(t, filepath.Join(d.path, snapshot.StatusFile))
			if got != tt.want {
				t.Errorf("status.json is\n%s\nwant\n%s", got, tt.want)
			}
			schematest.Check(t, snapshot.StatusFile, []byte(got))
			back, err := d.Status()
			if err != nil || !reflect.DeepEqual(back, tt.status.Normal()) {
				t.Errorf("read back: %+v %v", back, err)
			}
		})
	}
}

// WriteStatus does not share maps with its caller, which keeps changing them.
func TestWriteStatusKeepsTheArgument(t *testing.T) {
	st, want := full(), full()
	d := open(t)
	if err := d.WriteStatus(st); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(st, want) {
		t.Errorf("the caller's status is %+v, want %+v", st, want)
	}
	n := st.Normal()
	n.Errors["x"]++
	n.LastError.Class = "x"
	if !reflect.DeepEqual(st, want) {
		t.Error("the normal status shares its maps with the original")
	}
}

// A time that cannot be encoded is an error, and the old status is kept.
func TestWriteStatusFails(t *testing.T) {
	d := open(t)
	if err := d.WriteStatus(full()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.path, snapshot.StatusFile)
	before := get(t, path)
	st := full()
	st.UpdatedAt = new(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err := d.WriteStatus(st); err == nil || !strings.HasPrefix(err.Error(), "writing "+path+": ") {
		t.Errorf("error %v", err)
	}
	if get(t, path) != before {
		t.Error("status.json was changed")
	}
}
