// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// rewrite changes status.json, as another process does.
func (w *world) rewrite(change func(*snapshot.Status)) {
	w.t.Helper()
	d, err := publish.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	defer d.Close()
	st, err := d.Status()
	if err != nil {
		w.t.Fatal(err)
	}
	change(&st)
	if err := errors.Join(d.Lock(), d.WriteStatus(st)); err != nil {
		w.t.Fatal(err)
	}
}

// meanwhile returns a simulator that serves another name of the instance and calls do
// before the first answer.
func meanwhile(do func()) *imdstest.Server {
	s := sim("")
	s.Changes = []imdstest.Change{{Path: "meta-data/tags/instance/Name", Body: "outdated"}}
	var once sync.Once
	s.OnRequest = func(imdstest.Request) { once.Do(do) }
	return s
}

// A collection is discarded if anything else has written a status meanwhile.
func TestDiscarded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*snapshot.Status)
		want   readiness.Exit
	}{
		{"another refresh", func(st *snapshot.Status) { st.Generation++ }, readiness.ExitOK},
		{"a gate that waits", func(st *snapshot.Status) { *st.StartedAt = time.Now(); st.State = snapshot.Waiting }, readiness.ExitTempFail},
		{"a gate that has ended", func(st *snapshot.Status) { *st.StartedAt = time.Now(); st.Generation++ }, readiness.ExitTempFail},
		{"another boot", func(st *snapshot.Status) { st.BootID = "another" }, readiness.ExitTempFail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, schedule := range []string{"", "400@dynamic/**"} { // a failure is not recorded either
				inWorld(t, "", func(w *world) {
					time.Sleep(time.Second)
					var before map[string]string
					s := meanwhile(func() { w.rewrite(tt.change); before = w.states() })
					s.Also(imdstest.MustSchedule(schedule)...)
					want := tt.want
					if schedule != "" {
						want = readiness.ExitTempFail
					}
					if exit, _ := w.refresh(s); exit != want {
						t.Errorf("exit code %d, want %d\n%s", exit, want, w.log.String())
					}
					if names := w.changed(before); names != nil {
						t.Errorf("changed %q", names)
					}
					if news := w.news(); (len(news) != 0) != (schedule != "") {
						t.Errorf("news %q", news)
					}
				})
			}
		})
	}
}

// A refresh that is killed between two files leaves values that may be newer than those of a
// collection that began before. That collection is discarded, and the next one is not.
func TestAnotherIsKilledMeanwhile(t *testing.T) {
	for name, partly := range map[string]func(path string) error{
		"after it replaced a file": func(path string) error { return os.WriteFile(path, []byte("{\"Name\": \"newer\"}\n"), 0o644) },
		"after it removed a file":  os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, "", func(w *world) {
				var before map[string]string
				exit, _ := w.refresh(meanwhile(func() {
					if err := partly(filepath.Join(w.dir, snapshot.TagsFile)); err != nil {
						t.Error(err)
					}
					before = w.states()
				}))
				if names := w.changed(before); exit != readiness.ExitTempFail || names != nil {
					t.Errorf("exit code %d, changed %q", exit, names)
				}
				if text := "another refresh was ended while it replaced the files"; !strings.Contains(w.log.String(), text) || w.news() != nil {
					t.Errorf("log without %q, or with news:\n%s", text, w.log.String())
				}
				exit, _ = w.refresh(sim(""))
				if names := w.changed(before); exit != readiness.ExitOK || !slices.Equal(names, []string{snapshot.StatusFile, snapshot.TagsFile}) {
					t.Errorf("exit code %d of the next one, changed %q", exit, names)
				}
			})
		})
	}
}

// While another refresh holds the lock, a refresh tries for 3 s. A gate that holds it
// collects the metadata itself.
func TestLocked(t *testing.T) {
	for _, tt := range []struct {
		name     string
		gate     bool
		released time.Duration
		want     readiness.Exit
		news     string
	}{
		{"by a refresh that ends", false, 7 * time.Second, readiness.ExitOK, ""},
		{"by a refresh that is stopped", false, time.Hour, readiness.ExitTempFail, "it is probably stopped"},
		{"by a gate", true, time.Hour, readiness.ExitTempFail, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, "", func(w *world) {
				other, err := publish.Open(w.dir)
				if err == nil && tt.gate {
					other.Close()
					other, err = publish.OpenDir(w.dir)
				} else if err == nil {
					err = other.Lock()
				}
				if err != nil {
					t.Fatal(err)
				}
				timer := time.AfterFunc(tt.released, func() { other.Close() })
				before := w.states()
				exit, took := w.refresh(sim("")) // the collection takes 4.2 s
				if exit != tt.want || took > 8*time.Second {
					t.Errorf("exit code %d after %v", exit, took)
				}
				if timer.Stop() {
					other.Close()
				}
				if names := w.changed(before); (names == nil) != (tt.want != readiness.ExitOK) {
					t.Errorf("changed %q", names)
				}
				if news := strings.Join(w.news(), ""); (news == "") != (tt.news == "") || !strings.Contains(news, tt.news) {
					t.Errorf("news %q", news)
				}
			})
		})
	}
}

// A status that is damaged meanwhile is exit code 76, as it is at the start.
func TestDamagedMeanwhile(t *testing.T) {
	inWorld(t, "", func(w *world) {
		exit, _ := w.refresh(meanwhile(func() {
			if err := os.WriteFile(filepath.Join(w.dir, snapshot.StatusFile), []byte("{"), 0o644); err != nil {
				t.Error(err)
			}
		}))
		if news := w.news(); exit != readiness.ExitProtocol || len(news) != 1 || !strings.Contains(news[0], "systemctl restart imds-ready") {
			t.Errorf("exit code %d, news %q", exit, news)
		}
	})
}

// Files that cannot be written, and a directory that is moved away, are exit code 77.
func TestCannotWrite(t *testing.T) {
	for name, break_ := range map[string]func(w *world) error{
		"a directory in the place of a file": func(w *world) error {
			path := filepath.Join(w.dir, snapshot.TagsFile)
			return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o755))
		},
		"the directory is moved": func(w *world) error {
			return errors.Join(os.Rename(w.dir, w.dir+".old"), os.Mkdir(w.dir, 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, "", func(w *world) {
				exit, _ := w.refresh(meanwhile(func() {
					if err := break_(w); err != nil {
						t.Error(err)
					}
				}))
				if news := w.news(); exit != readiness.ExitNoPerm || len(news) != 1 || !strings.Contains(news[0], "class=cannot-write") {
					t.Errorf("exit code %d, news %q", exit, news)
				}
			})
		})
	}
}

// A refresh that follows one that was killed between two files replaces what differs, and
// then the status lists every file as it is.
func TestAfterAKilledRefresh(t *testing.T) {
	inWorld(t, "", func(w *world) {
		if err := os.WriteFile(filepath.Join(w.dir, snapshot.TagsFile), []byte("{}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		before := w.states()
		w.refresh(sim(""))
		if names := w.changed(before); !slices.Equal(names, []string{snapshot.StatusFile, snapshot.TagsFile}) {
			t.Errorf("changed %q", names)
		}
		d, err := publish.Open(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		st := w.status()
		if again, err := d.Begin(bootID); err != nil || len(again.Files) != len(st.Files) || len(st.Files) != 5 {
			t.Errorf("files %v, as listed %v, %v", again.Files, st.Files, err)
		}
	})
}
