// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/collect"
	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Daemon waits for IMDS once. Log is required; other zero fields have defaults.
type Daemon struct {
	// Config is what to wait for and how.
	Config Config
	// Client reaches IMDS. Run sets its Pace and Sent; Reject does not use it.
	Client *imds.Client
	// Dir is the directory of the files, such as /run/imds.
	Dir string
	// BootID identifies this boot, in the form of /proc/sys/kernel/random/boot_id.
	BootID string
	// Version is this program's.
	Version string
	// Log receives the log.
	Log *slog.Logger
	// Notify sends a datagram of sd_notify(3). If nil, notifications are dropped.
	Notify func(state string) error
	// Console receives the first line of a wait, in place of the log: the journal
	// stores what it forwards to the console. If nil, the log has it.
	Console io.Writer
	// Watch returns a channel with news of the network, until its context ends. If
	// nil, there is no news.
	Watch func(context.Context) (<-chan struct{}, error)
	// Sys is the kernel's view of the machine. If nil, it is /sys.
	Sys fs.FS
}

// run is one Daemon at work.
type run struct {
	*Daemon
	dir      *publish.Dir
	previous snapshot.Status // of an earlier run in this boot, or zero
	progress *progress
	gate     *gate
}

// Run waits, collects, writes and announces, and returns the exit code. Its end is
// always in the log and, unless another daemon holds the directory, in
// status.json. A context that ends with an [*Interrupted] cause interrupts it.
func (d *Daemon) Run(ctx context.Context) Exit {
	d.setDefaults()
	r, exit := d.claim(ctx, d.Config.longestDeadline())
	if r == nil {
		return exit
	}
	defer r.dir.Close()
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	r.progress.launch(abort)
	r.Client.Pace = collect.NewPacer(d.Config.Metadata.RequestsPerSecond).Wait
	o, decided := r.detect()
	if !decided {
		if d.Console != nil {
			fmt.Fprintln(d.Console, "imds-ready: waiting for IMDS"+atMost(d.Config.Policy.Deadline)) // nothing depends on it
		} else {
			d.Log.Info("waiting for IMDS", "endpoint", strings.Join(d.Client.Endpoints, " "), "deadline", d.Config.Policy.Deadline)
		}
		r.Client.Sent = r.progress.hurry
		o = r.decide(r.wait(ctx))
	}
	if err := r.progress.begin(); err != nil {
		o = r.cannotWrite(err)
	}
	if o.exit == ExitOK {
		o = r.publish(ctx, o)
	}
	if ctx.Err() != nil && o.exit == ExitOK { // a signal before READY=1; what was written stays
		files, missing := o.files, o.missing
		o = r.decide(context.Cause(ctx))
		o.files, o.missing, o.collects = files, missing, missing != nil
	}
	return r.end(o)
}

// wait passes the gate, with news of the network while it lasts.
func (r *run) wait(ctx context.Context) error {
	if r.Watch == nil || !r.Config.Policy.Eager {
		return r.gate.pass(ctx)
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	news, err := r.Watch(watching)
	if err != nil { // in a container or a sandbox; pauses end by themselves
		r.Log.Debug("watching the network", "err", err)
		return r.gate.pass(ctx)
	}
	w := newWaker()
	r.gate.wake = w.wait
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.follow(news)
	}()
	err = r.gate.pass(ctx)
	stop()
	<-done
	return err
}

// Reject reports an invalid configuration in the directory and in the log, and
// returns the exit code. The caller has printed the problems one by one.
func (d *Daemon) Reject(problems error) Exit {
	d.setDefaults()
	r, exit := d.claim(context.Background(), gatePatience)
	if r == nil {
		return exit
	}
	defer r.dir.Close()
	return r.end(outcome{
		state: snapshot.Failed, exit: ExitConfig, class: policy.InvalidConfig, err: problems,
		text: "failed: the configuration is invalid: " + words.Plural(strings.Count(strings.TrimSpace(problems.Error()), "\n")+1, "problem"),
		hint: "correct the configuration; `imds-ready check` reads it and changes nothing",
	})
}

// setDefaults replaces the zero fields that have defaults.
func (d *Daemon) setDefaults() {
	if d.Notify == nil {
		d.Notify = func(string) error { return nil }
	}
	if d.Sys == nil {
		d.Sys = os.DirFS("/sys")
	}
	if d.Client == nil {
		d.Client = new(imds.Client)
	}
	d.Config = d.Config.withDefaults()
}

// claim takes the directory, within a time that is unlimited if it is 0. If another
// process holds it until then, its status.json is left alone.
func (d *Daemon) claim(ctx context.Context, within time.Duration) (*run, Exit) {
	dir, err := d.open(ctx, within)
	if err == nil {
		previous, err := dir.Begin(d.BootID)
		r := d.newRun(dir, previous)
		if err == nil {
			return r, ExitOK
		}
		defer dir.Close()
		return nil, r.end(r.cannotWrite(err))
	}
	attrs := []any{"class", string(policy.CannotWrite), "hint", "make the directory writable for this user, or name another one with --directory"}
	exit := ExitNoPerm
	if i, ok := errors.AsType[*Interrupted](err); ok {
		d.Log.Warn("interrupted: "+err.Error(), "class", string(policy.Interrupted), "exit_code", int(i.Exit()))
		return nil, i.Exit()
	}
	if locked, ok := errors.AsType[*publish.LockedError](err); ok {
		exit, attrs = ExitTempFail, []any{"hint", "wait for it or end it; two daemons need two directories (--directory)"}
		if !locked.Gate {
			attrs = []any{"hint", "a refresh takes milliseconds, so it is probably stopped: see `systemctl status imds-ready-refresh`"}
		}
	} else if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		attrs = []any{"class", string(policy.LocalError), "hint", "raise the limit of open files (LimitNOFILE=): the daemon needs 32"}
	}
	d.Log.Error("cannot use the directory", append(attrs, "err", err, "exit_code", int(exit))...)
	d.announceFailure("cannot use the directory: "+err.Error(), exit)
	return nil, exit
}

// How long a gate tries to take the directory from another gate, how often it tries, and
// how often it tells systemd that it still does.
const (
	gatePatience = 2 * time.Second
	claimEvery   = 50 * time.Millisecond
	tellEvery    = 10 * time.Second
)

// open takes the directory. It gives up on another gate after [gatePatience], because that
// may wait for long. A refresh holds the directory only while it replaces files, but it may
// be stopped by a signal meanwhile, so open waits for it as long as it may.
func (d *Daemon) open(ctx context.Context, within time.Duration) (*publish.Dir, error) {
	start := time.Now()
	noGate := start // the last time at which no other gate held it
	var told time.Time
	for {
		dir, err := publish.OpenDir(d.Dir)
		locked, ok := errors.AsType[*publish.LockedError](err)
		if !ok {
			return dir, err
		}
		now := time.Now()
		if !locked.Gate {
			noGate = now
		}
		if now.Sub(noGate) >= gatePatience || within > 0 && now.Sub(start) >= within {
			return nil, err
		}
		if now.Sub(told) >= tellEvery {
			told = now
			state := fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=%s", (tellEvery + stepSlack).Microseconds(), statusText("waiting: "+err.Error()))
			if err := d.Notify(state); err != nil {
				d.Log.Debug("notifying systemd", "err", err)
			}
		}
		select {
		case <-time.After(claimEvery):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// newRun starts the status of this run. Files that an earlier run of this boot
// wrote stay listed until they are replaced.
func (d *Daemon) newRun(dir *publish.Dir, previous snapshot.Status) *run {
	now, pid := time.Now(), os.Getpid()
	status := snapshot.Status{
		State: snapshot.Waiting, BootID: d.BootID, Version: d.Version, PID: &pid, StartedAt: &now,
		Errors: map[string]int{}, Required: map[string]snapshot.Requirement{},
		Missing: previous.Missing, MissingMore: previous.MissingMore, Files: previous.Files, Generation: previous.Generation,
		Changed: previous.Changed, CollectedAt: previous.CollectedAt, StaleSince: previous.StaleSince,
	}
	for _, r := range d.Config.Require {
		status.Required[r.Path] = snapshot.Requirement{}
	}
	if longest := d.Config.longestDeadline(); longest > 0 {
		at := now.Add(longest)
		status.DeadlineAt = &at
	}
	r := &run{Daemon: d, dir: dir, previous: previous}
	r.progress = &progress{
		log: d.Log, notify: d.Notify,
		write: func(st snapshot.Status, final bool) error {
			if final {
				return dir.WriteFinalStatus(st)
			}
			return dir.WriteStatus(st)
		},
		requests: d.Client.Requests, endpoint: d.Client.Endpoint,
		metrics: textfile{path: d.Config.Textfile, log: d.Log},
		start:   now, status: status, streaks: map[string]*streak{}, hints: d.Config.hints(d.Client),
	}
	source := gather.Source{Client: d.Client, Policy: d.Config.Policy, Require: d.Config.Require, Step: r.progress.step}
	r.gate = &gate{config: d.Config, source: source, progress: r.progress, fetched: map[string][]byte{}}
	return r
}

// longestDeadline is when the wait gives up at the latest, since each path has a
// deadline of its own. It is 0 if the wait has no limit.
func (c Config) longestDeadline() time.Duration {
	var longest time.Duration
	for _, r := range c.Require {
		if r.Deadline == 0 {
			return 0
		}
		longest = max(longest, r.Deadline)
	}
	return longest
}

// detect decides without a request if metadata is switched off or the machine is
// not EC2.
func (r *run) detect() (o outcome, decided bool) {
	if r.Config.Disabled {
		return outcome{state: snapshot.Skipped, text: "skipped: AWS_EC2_METADATA_DISABLED is set"}, true
	}
	if vendor, other := r.Config.notEC2(r.Sys); other {
		return r.notEC2(vendor), true
	}
	return outcome{}, false
}
