// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/refresh"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// identity is the inode and the time of a file.
func identity(info fs.FileInfo) string {
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano(), " ")
}

// A refresh of unchanged paths replaces status.json and no other file, and nothing of it is
// news. What the gate wrote about its wait stays.
func TestNothingHasChanged(t *testing.T) {
	inWorld(t, "503x2,ok", func(w *world) {
		gate, before := w.status(), w.states()
		time.Sleep(time.Minute)
		if exit, _ := w.refresh(sim("")); exit != readiness.ExitOK {
			t.Fatalf("exit code %d\n%s", exit, w.log.String())
		}
		if names := w.changed(before); !slices.Equal(names, []string{snapshot.StatusFile}) || len(w.news()) != 0 {
			t.Errorf("changed %q, news %q", names, w.news())
		}
		st := w.status()
		if st.CollectedAt == nil || st.CollectedAt.Sub(*gate.CollectedAt) < time.Minute || !st.UpdatedAt.Equal(*st.CollectedAt) {
			t.Errorf("collected at %v, before at %v", st.CollectedAt, gate.CollectedAt)
		}
		if st.Requests != 95 || gate.Requests == st.Requests || st.LastError != nil || gate.LastError == nil {
			t.Errorf("%d requests, last error %v", st.Requests, st.LastError)
		}
		want := gate
		want.Generation, want.Changed, want.Requests, want.LastError = 2, []string{}, st.Requests, nil
		want.CollectedAt, want.UpdatedAt, want.Version = st.CollectedAt, st.UpdatedAt, "1.2.4"
		want.Required = map[string]snapshot.Requirement{imds.IdentityPath: {OK: true}}
		if !reflect.DeepEqual(st, want) {
			t.Errorf("status\n%+v\nwant\n%+v", st, want)
		}
	})
}

// Only the files that changed are replaced, and the status names them.
func TestSomethingHasChanged(t *testing.T) {
	inWorld(t, "", func(w *world) {
		before := w.states()
		s := sim("")
		s.Changes = []imdstest.Change{{Path: "meta-data/tags/instance/Name", Body: "new"}}
		w.refresh(s)
		want := []string{snapshot.MetaDataFile, snapshot.StatusFile, snapshot.TagsFile}
		st := w.status()
		if names := w.changed(before); !slices.Equal(names, want) || strings.Join(st.Changed, " ") != "meta-data.json tags.json" {
			t.Errorf("changed %q, status %q", names, st.Changed)
		}
		if w.value(snapshot.TagsFile, "Name") != "new" || len(w.news()) != 0 {
			t.Errorf("news %q", w.news())
		}
		s = sim("")
		s.Gone = map[string]time.Duration{"meta-data/tags": 0}
		w.refresh(s)
		if st := w.status(); strings.Join(st.Changed, " ") != "meta-data.json tags.json" || st.Files[snapshot.TagsFile] != nil || st.Generation != 3 {
			t.Errorf("changed %q, files %v", st.Changed, st.Files)
		}
	})
}

// At most 20 requests begin in a second, and one at a time.
func TestPolite(t *testing.T) {
	const latency = 10 * time.Millisecond
	inWorld(t, "", func(w *world) {
		s := sim("")
		s.Latency = latency
		exit, took := w.refresh(s)
		requests := s.Requests()
		for i, r := range requests {
			if i > 0 && r.At-requests[i-1].At < latency {
				t.Errorf("%v begins before the answer to %v", r, requests[i-1])
			}
			if i >= 20 && r.At-requests[i-20].At < time.Second {
				t.Errorf("%v and %v are 21 requests in a second", requests[i-20], r)
			}
		}
		if exit != 0 || len(requests) != 95 || took > 6*time.Second {
			t.Errorf("exit code %d after %v, %d requests", exit, took, len(requests))
		}
	})
	// A token request that is not answered is not sent again meanwhile.
	inWorld(t, "", func(w *world) {
		s := sim("hang@putx1,ok")
		w.refresh(s)
		if puts := s.Requests(); puts[1].Kind != "PUT" || puts[1].At < w.config.Policy.ReadTimeout {
			t.Errorf("%v follows %v", puts[1], puts[0])
		}
	})
	// With --now, it is as fast as the gate.
	inWorld(t, "", func(w *world) {
		s := sim("")
		s.Latency = latency
		if exit, took := w.refresh(s, now); exit != 0 || took > 300*time.Millisecond {
			t.Errorf("exit code %d after %v", exit, took)
		}
	})
}

// The collection has at least 1.5 times the time that its paths need at 20 requests a
// second, and with --now everything ends within 45 s. What was not fetched keeps its value.
func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		name     string
		deadline time.Duration
		now      bool
		want     time.Duration
	}{
		{"collect_deadline is enough", 30 * time.Second, false, 30 * time.Second},
		{"the paths need more", time.Second, false, 95 * 1500 * time.Millisecond / 20},
		{"with --now", time.Hour, true, 30 * time.Second},
		{"with --now, without collect_deadline", 0, true, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, "", func(w *world) {
				w.config.Metadata.CollectDeadline, w.config.Policy.ReadTimeout = tt.deadline, time.Hour
				before := w.states()
				s := sim("hang@meta-data/**")
				if !tt.now {
					s = sim("hang@meta-data/placement/**")
				}
				exit, took := w.refresh(s, func(r *refresh.Refresh) { r.Now = tt.now })
				if exit != 0 || took < tt.want || took > tt.want+6*time.Second {
					t.Errorf("exit code %d after %v, want 0 after %v", exit, took, tt.want)
				}
				if names := w.changed(before); !slices.Equal(names, []string{snapshot.StatusFile}) {
					t.Errorf("changed %q", names)
				}
			})
		})
	}
}

// While IMDS is down, every refresh ends after 10 s or after retry.deadline, the files stay,
// and in an hour there are one warning and, when it is back, one notice.
func TestDownForAnHour(t *testing.T) {
	for _, deadline := range []time.Duration{5 * time.Minute, 3 * time.Second} {
		inWorld(t, "", func(w *world) {
			w.config.Require[0].Deadline = deadline
			before, gate := w.states(), w.status()
			var since time.Time
			for i := range 60 {
				w.want(readiness.ExitTempFail, min(deadline, 10*time.Second), sim("refuse"))
				if i == 0 {
					since = time.Now()
				}
				time.Sleep(time.Minute)
			}
			if names := w.changed(before); !slices.Equal(names, []string{snapshot.StatusFile}) {
				t.Errorf("changed %q", names)
			}
			st := w.status()
			if st.StaleSince == nil || !st.StaleSince.Equal(since.UTC().Truncate(time.Millisecond)) || st.LastError == nil || st.LastError.Class != "connection-refused" {
				t.Errorf("stale since %v, last error %+v", st.StaleSince, st.LastError)
			}
			want := gate
			want.StaleSince, want.LastError, want.UpdatedAt, want.Version = st.StaleSince, st.LastError, st.UpdatedAt, "1.2.4"
			if !reflect.DeepEqual(st, want) {
				t.Errorf("status\n%+v\nwant\n%+v", st, want)
			}
			if news := w.news(); len(news) != 1 || !strings.HasPrefix(news[0], "level=WARN ") || !strings.Contains(news[0], "class=connection-refused") {
				t.Errorf("news %q", news)
			}
			w.log.Reset()
			for range 2 {
				w.refresh(sim(""))
			}
			if news := w.news(); len(news) != 1 || !strings.Contains(news[0], "refreshed again after 1 h") || w.status().StaleSince != nil {
				t.Errorf("news %q", news)
			}
		})
	}
}

// A required path that is given up ends the refresh with 75, and a disabled IMDS with 69.
// The state stays ready, and neither makes the unit of the timer failed.
func TestExitCodes(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/imds-ready-refresh.service")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(unit), "\nSuccessExitStatus=")
	line, _, _ = strings.Cut(line, "\n")
	successes := strings.Fields(line)
	for schedule, want := range map[string]readiness.Exit{
		"403@put": readiness.ExitUnavailable, "403@dynamic/**": readiness.ExitUnavailable, "400": readiness.ExitTempFail,
		"html": readiness.ExitTempFail, "blocked": readiness.ExitTempFail, "404@meta-data/iam/info": readiness.ExitTempFail,
	} {
		inWorld(t, "", func(w *world) {
			w.require("meta-data/iam/info")
			before := w.states()
			if exit, _ := w.refresh(sim(schedule)); exit != want || !slices.Contains(successes, strconv.Itoa(int(exit))) {
				t.Errorf("%s: exit code %d, want %d, which is one of %q\n%s", schedule, exit, want, successes, w.log.String())
			}
			if st := w.status(); st.State != snapshot.Ready || st.Generation != 1 || st.StaleSince == nil || !slices.Equal(w.changed(before), []string{snapshot.StatusFile}) {
				t.Errorf("%s: %+v", schedule, st)
			}
		})
	}
}

// A degraded gate becomes ready when all required paths are there, and not before.
func TestDegradedBecomesReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.require("meta-data/iam/info")
		for i := range w.config.Require {
			w.config.Require[i].Deadline = time.Second
		}
		w.gate(sim("refuse"))
		env := func() string {
			text, err := os.ReadFile(filepath.Join(w.dir, snapshot.EnvFile))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		if st := w.status(); st.State != snapshot.Degraded || env() != "IMDS_STATE=degraded\n" {
			t.Fatalf("%s, %q", st.State, env())
		}
		w.want(readiness.ExitTempFail, time.Second, sim("404@meta-data/iam/info"))
		if st := w.status(); st.State != snapshot.Degraded || st.Generation != 0 || env() != "IMDS_STATE=degraded\n" {
			t.Errorf("%s, generation %d, %q", st.State, st.Generation, env())
		}
		w.log.Reset()
		gate := w.status()
		w.refresh(sim(""))
		st := w.status()
		if st.State != snapshot.Ready || st.Generation != 1 || !strings.HasPrefix(env(), "IMDS_STATE=ready\n") || len(st.Required) != 2 || !st.Required["meta-data/iam/info"].OK {
			t.Errorf("%+v, %q", st, env())
		}
		if !st.ReadyAt.Equal(*gate.ReadyAt) || *st.ExitCode != 0 || st.Attempts != gate.Attempts || len(st.Files) != 5 {
			t.Errorf("%+v, before %+v", st, gate)
		}
		if news := w.news(); len(news) != 1 || !strings.Contains(news[0], "ready after a degraded gate") {
			t.Errorf("news %q", news)
		}
	})
}

// Where the gate was skipped, and where there is nothing to refresh, no request is made and
// nothing is written.
func TestNothingToRefresh(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(w *world)
		want readiness.Exit
	}{
		{"a skipped gate", func(w *world) { w.config.Disabled = true; w.gate(sim("")); w.config.Disabled = false }, readiness.ExitOK},
		{"a failed gate", func(w *world) { w.config.OnTimeout = readiness.Fail; w.gate(sim("400")) }, readiness.ExitTempFail},
		{"a gate that waits", func(w *world) {
			w.gate(sim(""))
			w.rewrite(func(st *snapshot.Status) { st.State = snapshot.Waiting })
		}, readiness.ExitTempFail},
		{"another boot", func(w *world) {
			w.gate(sim(""))
			w.rewrite(func(st *snapshot.Status) { st.BootID = "another" })
		}, readiness.ExitTempFail},
		{"no status", func(*world) {}, readiness.ExitTempFail},
		{"no directory", func(w *world) { w.dir += "/none" }, readiness.ExitTempFail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tt.make(w)
				w.log.Reset()
				var before map[string]string
				if tt.name != "no directory" {
					before = w.states()
				}
				s := sim("")
				w.want(tt.want, 0, s)
				if len(s.Trace()) != 0 || len(w.news()) != 0 {
					t.Errorf("requests %v, news %q", s.Trace(), w.news())
				}
				if before == nil {
					if _, err := os.Lstat(w.dir); err == nil {
						t.Error("the directory was made")
					}
				} else if names := w.changed(before); names != nil {
					t.Errorf("changed %q", names)
				}
			})
		})
	}
}

// A status that cannot be read is an error that the unit of the timer shows, with the exit
// code that `imds-ready status` has for it.
func TestUnreadableStatus(t *testing.T) {
	for _, tt := range []struct {
		name, text string // if the text is empty, status.json is a directory
		want       readiness.Exit
		wantLog    string
	}{
		{"damaged", "{", readiness.ExitProtocol, "not written by imds-ready"},
		{"empty", "\n", readiness.ExitProtocol, "not written by imds-ready"},
		{"a later version", `{"schema": 2, "boot_id": "` + bootID + `"}`, readiness.ExitProtocol, "written by a later version of imds-ready"},
		{"a directory", "", readiness.ExitProtocol, "not written by imds-ready"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, "", func(w *world) {
				path := filepath.Join(w.dir, snapshot.StatusFile)
				err := os.WriteFile(path, []byte(tt.text), 0o644)
				if tt.text == "" {
					err = errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
				}
				if err != nil {
					t.Fatal(err)
				}
				s := sim("")
				w.want(tt.want, 0, s)
				news := strings.Join(w.news(), "\n")
				if !strings.HasPrefix(news, `level=ERROR msg="cannot refresh: reading `) || !strings.Contains(news, tt.wantLog) ||
					!strings.Contains(news, "systemctl restart imds-ready") || strings.Contains(news, "\n") {
					t.Errorf("news %s", news)
				}
				if len(s.Trace()) != 0 {
					t.Errorf("requests %v", s.Trace())
				}
			})
		})
	}
}

// A user who does not own the directory makes no request and writes nothing.
func TestNotTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can make files of other users; as root this is tested")
		return
	}
	inWorld(t, "", func(w *world) {
		if err := os.Chown(w.dir, 65000, -1); err != nil {
			t.Fatal(err)
		}
		before, s := w.states(), sim("")
		w.want(readiness.ExitNoPerm, 0, s)
		if news := w.news(); len(news) != 1 || !strings.Contains(news[0], "run `systemctl reload imds-ready`") {
			t.Errorf("news %q", news)
		}
		if names := w.changed(before); names != nil || len(s.Trace()) != 0 {
			t.Errorf("changed %q, requests %v", names, s.Trace())
		}
	})
}

// A signal ends a refresh, and nothing is written.
func TestInterrupted(t *testing.T) {
	for _, at := range []time.Duration{0, 500 * time.Millisecond, 2 * time.Second} {
		inWorld(t, "", func(w *world) {
			before := w.states()
			ctx, cancel := context.WithCancelCause(w.t.Context())
			timer := time.AfterFunc(at, func() { cancel(&readiness.Interrupted{Signal: syscall.SIGTERM}) })
			defer timer.Stop()
			s := sim("")
			s.Latency = 10 * time.Millisecond
			if exit, took := w.refreshUntil(ctx, s); exit != 143 || took > at+time.Second {
				t.Errorf("exit code %d after %v", exit, took)
			}
			if names := w.changed(before); names != nil {
				t.Errorf("changed %q", names)
			}
		})
	}
}

// Missing paths are a warning once, and a notice when nothing is missing any more.
func TestMissing(t *testing.T) {
	inWorld(t, "", func(w *world) {
		for range 3 {
			w.refresh(sim("503@meta-data/placement/**"))
		}
		if news := w.news(); len(news) != 1 || !strings.Contains(news[0], "level=WARN") || !strings.Contains(news[0], "missing: meta-data/placement/ (503)") {
			t.Errorf("news %q", news)
		}
		st := w.status()
		if w.value(snapshot.MetaDataFile, "placement", "region") == nil || st.LastError == nil || st.LastError.Class != "503" || st.StaleSince != nil {
			t.Errorf("%+v", st)
		}
		w.log.Reset()
		w.refresh(sim(""))
		w.refresh(sim(""))
		if news := w.news(); len(news) != 1 || !strings.Contains(news[0], "nothing is missing any more") {
			t.Errorf("news %q", news)
		}
	})
}

// The metrics have the age of the data and since when refreshes fail.
func TestMetrics(t *testing.T) {
	inWorld(t, "", func(w *world) {
		w.config.Textfile = filepath.Join(w.dir, "imds_ready.prom")
		for _, step := range []struct{ schedule, has, lacks string }{
			{"", "imds_ready_collected_time_seconds ", "imds_ready_stale_time_seconds "},
			{"refuse", "imds_ready_stale_time_seconds ", "\x00"},
			{"", "imds_ready_generation 3", "imds_ready_stale_time_seconds "},
		} {
			w.refresh(sim(step.schedule))
			text, err := os.ReadFile(w.config.Textfile)
			if err != nil || !strings.Contains(string(text), "\n"+step.has) || strings.Contains(string(text), "\n"+step.lacks) {
				t.Errorf("%q: %v\n%s", step.schedule, err, text)
			}
		}
	})
}
