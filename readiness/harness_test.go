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
	// The input, set by the test before run.
	sim     *imdstest.Server
	config  readiness.Config
	client  *imds.Client
	dir     string
	sys     fs.FS
	notify  func(string) error // called before a datagram is recorded
	watch   func(context.Context) (<-chan struct{}, error)
	onLog   func(string) // before each line of the log is recorded
	cancels []cancel
	cancel  func(error) // ends the run from a hook; set by runInBubble
	start   time.Time   // set by runInBubble
	reject  error       // if not nil, Reject is called with it instead of Run

	// The output.
	exit       readiness.Exit
	elapsed    time.Duration
	status     snapshot.Status
	log        string
	violations []string // of the rules for every run; see readBack

	mu        sync.Mutex
	datagrams []datagram
}

type cancel struct {
	at    time.Duration
	cause error
}

// note is one datagram to systemd.
type datagram struct {
	at    time.Duration
	state string
	err   error // returned to the sender
}

// newTrial returns a trial with the preset boot without jitter and without hedging, one
// endpoint, and only the identity document required.
func newTrial(t testing.TB, sim *imdstest.Server) *trial {
	t.Helper()
	tr := &trial{
		sim: sim,
		config: readiness.Config{
			Require:   []readiness.Require{{Path: imds.IdentityPath}},
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

// faulty returns a trial with the default tree and a schedule of faults, in the syntax
// of imdstest.
func faulty(t testing.TB, schedule string) *trial {
	t.Helper()
	return newTrial(t, imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...))
}

// preset sets a preset without jitter, for all required paths.
func (tr *trial) preset(t testing.TB, name string, toggle bool) *trial {
	t.Helper()
	p, ok := policy.Preset(name)
	if !ok {
		t.Fatalf("no preset %q", name)
	}
	p.Backoff.Jitter, p.Hedge = policy.JitterNone, 0
	if name == policy.PresetBoot { // pauses that are easy to read in a trace
		p.Backoff = policy.Backoff{Initial: 50 * time.Millisecond, Max: 500 * time.Millisecond, Multiplier: 2}
		p.FromStart = false
	}
	p.RetryConnectTimeouts = toggle
	tr.config.Policy = p
	return tr.limits(p.MaxAttempts, p.Deadline)
}

// require adds required paths with the limits of the policy.
func (tr *trial) require(paths ...string) *trial {
	for _, p := range paths {
		tr.config.Require = append(tr.config.Require, readiness.Require{
			Path: p, MaxAttempts: tr.config.Policy.MaxAttempts, Deadline: tr.config.Policy.Deadline,
		})
	}
	return tr
}

// limits sets max_attempts and deadline for all required paths.
func (tr *trial) limits(attempts int, deadline time.Duration) *trial {
	tr.config.Policy.MaxAttempts, tr.config.Policy.Deadline = attempts, deadline
	for i := range tr.config.Require {
		tr.config.Require[i].MaxAttempts, tr.config.Require[i].Deadline = attempts, deadline
	}
	return tr
}

// gateOnly turns the collection off, so that the trace is that of the gate.
func (tr *trial) gateOnly() *trial {
	tr.config.Metadata.Include = nil
	return tr
}

// rule appends a rule of the operator.
func (tr *trial) rule(action policy.Action, path string, on ...string) *trial {
	tr.config.Policy.Rules = append(tr.config.Policy.Rules, policy.Rule{On: on, Path: path, Action: action})
	return tr
}

// signal interrupts the run after a time.
func (tr *trial) signal(at time.Duration, s syscall.Signal) *trial {
	tr.cancels = append(tr.cancels, cancel{at, &readiness.Interrupted{Signal: s}})
	return tr
}

// run runs the daemon in virtual time, reads its output, and reports violations.
func (tr *trial) run(t *testing.T) *trial {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tr.runInBubble(t) })
	tr.report(t)
	return tr
}

// tester is a test or a property.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
	Failed() bool
}

// report reports violations of the rules for every run.
func (tr *trial) report(t tester) {
	t.Helper()
	for _, v := range tr.violations {
		t.Errorf("%s", v)
	}
	if t.Failed() {
		t.Logf("exit %d after %v\n%s", tr.exit, tr.elapsed, tr.log)
	}
}

// runInBubble is run without the report. The caller must be in a bubble.
func (tr *trial) runInBubble(t *testing.T) {
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

// record receives a datagram to systemd.
func (tr *trial) record(state string) error {
	at, err := time.Since(tr.start), error(nil)
	if tr.notify != nil {
		err = tr.notify(state)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if extend, rest, both := strings.Cut(state, "\n"); both && strings.HasPrefix(state, "EXTEND_TIMEOUT_USEC=") {
		tr.datagrams = append(tr.datagrams, datagram{at, extend, err}) // recorded as two datagrams
		state = rest
	}
	tr.datagrams = append(tr.datagrams, datagram{at, state, err})
	return err
}

// recorder is the log. Each Write is a line.
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
