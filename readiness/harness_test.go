// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bootID = "11111111-2222-3333-4444-555555555555"

// trial is one run of the daemon against the simulator, in virtual time.
type trial struct {
	// What goes in; set by the test before run.
	sim     *imdstest.Server
	config  readiness.Config
	client  *imds.Client
	dir     string
	sys     fs.FS
	notify  func(string) error // after the datagram was recorded
	watch   func(context.Context) (<-chan struct{}, error)
	onLog   func(string) // before each line of the log is recorded
	cancels []cancel
	cancel  func(error) // set by here: ends the run, from a hook
	start   time.Time   // set by here
	reject  error       // call Reject with it instead of Run

	// What comes out.
	exit    readiness.Exit
	elapsed time.Duration
	status  snapshot.Status
	log     string
	faults  []string // what is wrong with any run, see invariants

	mu    sync.Mutex
	notes []note
}

type cancel struct {
	at    time.Duration
	cause error
}

// note is one datagram to systemd.
type note struct {
	at    time.Duration
	state string
	err   error // what the sender was told
}

// newTrial is the preset boot without jitter, one endpoint, and nothing but the
// identity document required. The schedule is in the grammar of imdstest.
func newTrial(t testing.TB, sim *imdstest.Server) *trial {
	t.Helper()
	tr := &trial{
		sim: sim,
		config: readiness.Config{
			Require:   []readiness.Require{{Path: readiness.IdentityPath}},
			OnTimeout: readiness.Fail, OnDisabled: readiness.Fail, OnNotEC2: readiness.Skip,
			ExplicitEndpoint: true,
			Metadata: readiness.Metadata{
				Include: []string{"meta-data/**"}, CollectDeadline: 10 * time.Second,
				Concurrency: 4, RequestsPerSecond: 160,
			},
		},
		client: &imds.Client{Endpoints: []string{"http://127.0.0.1:1338"}},
		dir:    t.TempDir(), sys: fstest.MapFS{},
	}
	return tr.preset(t, policy.PresetBoot, true)
}

// faulty is a trial against the default tree under a schedule of faults.
func faulty(t testing.TB, schedule string) *trial {
	t.Helper()
	return newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...))
}

// preset takes a preset without jitter, for every path that is required.
func (tr *trial) preset(t testing.TB, name string, toggle bool) *trial {
	t.Helper()
	p, ok := policy.Preset(name)
	if !ok {
		t.Fatalf("no preset %q", name)
	}
	p.Backoff.Jitter, p.Hedge = policy.JitterNone, 0
	if name == policy.PresetBoot { // pauses that are easy to read in a trace
		p.Backoff.Max, p.Backoff.Multiplier, p.FromStart = 500*time.Millisecond, 2, false
	}
	p.RetryConnectTimeouts = toggle
	tr.config.Policy = p
	return tr.patience(p.MaxAttempts, p.Deadline)
}

// require adds a path with the default patience.
func (tr *trial) require(paths ...string) *trial {
	for _, p := range paths {
		tr.config.Require = append(tr.config.Require, readiness.Require{
			Path: p, MaxAttempts: tr.config.Policy.MaxAttempts, Deadline: tr.config.Policy.Deadline,
		})
	}
	return tr
}

// patience sets what a file would: max_attempts and deadline, for every path.
func (tr *trial) patience(attempts int, deadline time.Duration) *trial {
	tr.config.Policy.MaxAttempts, tr.config.Policy.Deadline = attempts, deadline
	for i := range tr.config.Require {
		tr.config.Require[i].MaxAttempts, tr.config.Require[i].Deadline = attempts, deadline
	}
	return tr
}

// alone collects nothing that is not required, so that the trace is the gate's.
func (tr *trial) alone() *trial {
	tr.config.Metadata.Include = nil
	return tr
}

// rule puts an operator's rule behind those that are there.
func (tr *trial) rule(action policy.Action, path string, on ...string) *trial {
	tr.config.Policy.Rules = append(tr.config.Policy.Rules, policy.Rule{On: on, Path: path, Action: action})
	return tr
}

// signal interrupts the run at a time.
func (tr *trial) signal(at time.Duration, s syscall.Signal) *trial {
	tr.cancels = append(tr.cancels, cancel{at, &readiness.Interrupted{Signal: s}})
	return tr
}

// run runs the daemon in a bubble of virtual time and reads everything back.
func (tr *trial) run(t *testing.T) *trial {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tr.here(t) })
	tr.report(t)
	return tr
}

// report fails the test for what no run may do.
func (tr *trial) report(t testing.TB) {
	t.Helper()
	for _, f := range tr.faults {
		t.Error(f)
	}
	if t.Failed() {
		t.Logf("exit %d after %v\n%s", tr.exit, tr.elapsed, tr.log)
	}
}

// here is run without the report, in the bubble that the caller is in.
func (tr *trial) here(t *testing.T) {
	t.Helper()
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	tr.cancel = end
	for _, c := range tr.cancels {
		timer := time.AfterFunc(c.at, func() { end(c.cause) })
		defer timer.Stop()
	}
	if tr.sim != nil {
		defer tr.sim.Close()
		if tr.client.Dial == nil {
			tr.client.Dial = tr.sim.Dial
		}
	}
	log := &recorder{before: tr.onLog}
	tr.start = time.Now()
	d := &readiness.Daemon{
		Config: tr.config, Client: tr.client, Dir: tr.dir, BootID: bootID, Version: "1.2.3", Sys: tr.sys, Watch: tr.watch,
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Notify: tr.record,
	}
	if tr.reject != nil {
		tr.exit = d.Reject(tr.reject)
	} else {
		tr.exit = d.Run(ctx)
	}
	tr.elapsed = time.Since(tr.start)
	tr.log = log.String()
	tr.readBack()
}

// record takes a datagram to systemd.
func (tr *trial) record(state string) error {
	at, err := time.Since(tr.start), error(nil)
	if tr.notify != nil {
		err = tr.notify(state)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if extend, rest, both := strings.Cut(state, "\n"); both && strings.HasPrefix(state, "EXTEND_TIMEOUT_USEC=") {
		tr.notes = append(tr.notes, note{at, extend, err}) // as if they were two
		state = rest
	}
	tr.notes = append(tr.notes, note{at, state, err})
	return err
}

// recorder is the log, one Write a line.
type recorder struct {
	before func(string)
	mu     sync.Mutex
	text   bytes.Buffer
}

func (r *recorder) Write(line []byte) (int, error) {
	if r.before != nil {
		r.before(string(line))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(line)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
