// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/refresh"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bootID = "11111111-2222-3333-4444-555555555555"

// world is a directory with what happens to it, in virtual time.
type world struct {
	t      *testing.T
	dir    string
	config readiness.Config
	log    bytes.Buffer
}

// newWorld returns a world without a gate. The policy is that of boot without jitter.
func newWorld(t *testing.T) *world {
	p := policy.Boot()
	p.Backoff.Jitter = policy.JitterNone
	return &world{t: t, dir: t.TempDir(), config: readiness.Config{
		Policy: p, ExplicitEndpoint: true,
		Require:   []readiness.Require{{Path: imds.IdentityPath, Deadline: p.Deadline}},
		OnTimeout: readiness.Continue, OnDisabled: readiness.Fail, OnNotEC2: readiness.Skip,
		Metadata: readiness.Metadata{
			Include: []string{"meta-data/**"}, CollectDeadline: 30 * time.Second, Concurrency: 4, RequestsPerSecond: 240,
		},
	}}
}

// inWorld runs f in a bubble, in a world whose gate has ended with the schedule.
func inWorld(t *testing.T, schedule string, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.gate(sim(schedule))
		f(w)
	})
}

// sim returns a simulator with the default tree and a schedule.
func sim(schedule string) *imdstest.Server {
	return imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...)
}

// require adds a required path.
func (w *world) require(path string) {
	w.config.Require = append(w.config.Require, readiness.Require{Path: path, Deadline: w.config.Policy.Deadline})
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func client(s *imdstest.Server) *imds.Client {
	return &imds.Client{Endpoints: []string{"http://127.0.0.1:1338"}, Dial: s.Dial}
}

// gate runs a gate, and forgets its log.
func (w *world) gate(s *imdstest.Server) readiness.Exit {
	defer s.Close()
	d := readiness.Daemon{Config: w.config, Client: client(s), Dir: w.dir, BootID: bootID, Version: "1.2.3", Log: w.logger()}
	exit := d.Run(w.t.Context())
	w.log.Reset()
	return exit
}

// refresh runs a refresh, and returns the exit code and how long it took.
func (w *world) refresh(s *imdstest.Server, change ...func(*refresh.Refresh)) (readiness.Exit, time.Duration) {
	w.t.Helper()
	return w.refreshUntil(w.t.Context(), s, change...)
}

func (w *world) refreshUntil(ctx context.Context, s *imdstest.Server, change ...func(*refresh.Refresh)) (readiness.Exit, time.Duration) {
	w.t.Helper()
	defer s.Close()
	r := &refresh.Refresh{Config: w.config, Client: client(s), Dir: w.dir, BootID: bootID, Version: "1.2.4", Log: w.logger()}
	for _, f := range change {
		f(r)
	}
	start := time.Now()
	exit := r.Run(ctx)
	return exit, time.Since(start)
}

func now(r *refresh.Refresh) { r.Now = true }

// want runs a refresh, which must end with an exit code after a time.
func (w *world) want(exit readiness.Exit, took time.Duration, s *imdstest.Server, change ...func(*refresh.Refresh)) {
	w.t.Helper()
	if got, elapsed := w.refresh(s, change...); got != exit || elapsed != took {
		w.t.Errorf("exit code %d after %v, want %d after %v\n%s", got, elapsed, exit, took, w.log.String())
	}
}

// status reads status.json and checks it by its schema.
func (w *world) status() snapshot.Status {
	w.t.Helper()
	st, data, err := snapshot.ReadStatusJSON(w.dir, bootID)
	if err != nil {
		w.t.Fatal(err)
	}
	schematest.Load(w.t).Check(w.t, snapshot.StatusFile, data)
	return st
}

// states returns the inode, the time and the content of every file.
func (w *world) states() map[string]string {
	w.t.Helper()
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	states := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			w.t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(w.dir, e.Name()))
		if err != nil {
			w.t.Fatal(err)
		}
		states[e.Name()] = identity(info) + string(data)
	}
	return states
}

// changed returns the names of the files that are not as before.
func (w *world) changed(before map[string]string) []string {
	w.t.Helper()
	after := w.states()
	var names []string
	for name := range maps.Keys(after) {
		if after[name] != before[name] {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// news returns the lines of the log at notice or higher, without their time.
func (w *world) news() []string {
	var lines []string
	for line := range strings.Lines(w.log.String()) {
		if _, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " "); !strings.HasPrefix(line, "level=INFO ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// value returns a value of a JSON file.
func (w *world) value(name string, keys ...string) any {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		w.t.Fatal(err)
	}
	for _, key := range keys {
		v = v.(map[string]any)[key]
	}
	return v
}
