// SPDX-License-Identifier: Apache-2.0

// Package refresh collects the metadata once more after the gate is decided, and replaces
// the files that changed.
//
// A refresh never takes anything away that the gate has announced: if the required paths
// cannot be fetched, all files stay, and status.json says since when. It holds the lock of
// the directory only while it replaces files, and discards its collection if anything else
// has written a status or a file meanwhile. It sends no notification to systemd, because a
// unit that runs it as ExecReload= has no socket for it.
package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/collect"
	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/retry"
	"github.com/imds-ready/imds-ready/snapshot"
)

// LevelNotice is between info and warning. The unit of the timer logs notices and higher
// levels only.
const LevelNotice = slog.LevelInfo + 2

// The limits of a refresh.
const (
	// requiredWithin bounds the wait for the required paths.
	requiredWithin = 10 * time.Second
	// perSecond is how many requests of a polite refresh begin in a second.
	perSecond = 20
	// nowWithin bounds a refresh for which somebody waits, of which the last
	// writeWithin are for the lock and the files. systemd ends an ExecReload= after
	// TimeoutStartSec=.
	nowWithin   = 45 * time.Second
	writeWithin = 5 * time.Second
)

// The ends of a refresh that are news, for the journal.
const (
	endFailed  = "failed"
	endCurrent = "current" // it succeeded again
	endReady   = "ready"   // a degraded gate has become ready
)

// maxMessage bounds the texts of errors, in bytes.
const maxMessage = 1024

// Refresh refreshes the files once.
type Refresh struct {
	// Config is that of the gate.
	Config readiness.Config
	// Client reaches IMDS. Run sets its Pace.
	Client *imds.Client
	// Dir is the directory of the files, such as /run/imds.
	Dir string
	// BootID identifies this boot.
	BootID string
	// Version is this program's.
	Version string
	// Log receives the log.
	Log *slog.Logger
	// Now is true if somebody waits for the refresh: it makes requests as fast as the
	// gate does, and ends within 45 s. If false, it makes one request at a time, and at
	// most 20 a second.
	Now bool
}

// run is one Refresh at work.
type run struct {
	*Refresh
	start  time.Time
	dir    *publish.Dir
	begun  snapshot.Status   // the status at the start
	sums   map[string]string // of the files, after that and before the first request
	source gather.Source
	hints  hints.Settings

	mu   sync.Mutex
	last *attempt // the last one that failed
}

// attempt is a failed attempt at a path.
type attempt struct {
	at      time.Time
	failure policy.Failure
	err     error
}

// Run refreshes the files and returns the exit code. It must not be called if requests are
// switched off; see [readiness.Config.Off]. A context that ends with a
// [*readiness.Interrupted] cause interrupts it.
func (r *Refresh) Run(ctx context.Context) readiness.Exit {
	dir, err := publish.Open(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r.undecided("no gate has run in this boot", "`systemctl start imds-ready` starts it")
	}
	if err != nil {
		return r.cannotWrite(err)
	}
	defer dir.Close()
	st, err := dir.Status()
	if err == nil {
		err = st.CheckBoot(r.BootID)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, snapshot.ErrOtherBoot):
		return r.undecided("no gate has run in this boot: "+err.Error(), "`systemctl start imds-ready` starts it")
	case errors.Is(err, snapshot.ErrNotOurs), errors.Is(err, snapshot.ErrLaterSchema):
		return r.unreadable(err)
	case err != nil:
		return r.cannotWrite(err)
	case st.State == snapshot.Skipped:
		r.Log.Info("skipped, because the gate was skipped")
		return readiness.ExitOK
	case st.State == snapshot.Waiting:
		return r.undecided("the gate is not decided yet", "it collects the metadata itself")
	case st.State == snapshot.Failed:
		return r.undecided("the gate has failed", "`systemctl start imds-ready` tries again")
	}
	if owner, err := dir.Owner(); err != nil {
		return r.cannotWrite(err)
	} else if user := os.Geteuid(); owner != user {
		r.Log.Error(fmt.Sprintf("cannot refresh %s: it belongs to user %d, and this process runs as user %d", r.Dir, owner, user),
			"hint", "run `systemctl reload imds-ready`", "exit_code", int(readiness.ExitNoPerm))
		return readiness.ExitNoPerm
	}
	work := &run{
		Refresh: r, start: time.Now(), dir: dir, begun: st, sums: dir.Sums(),
		source: gather.Source{Client: r.Client, Policy: r.Config.Policy, Require: r.Config.Require},
		hints:  hints.Settings{Interface: r.Client.Interface, Tolerant: true}, // on_disabled is for the gate
	}
	return work.refresh(ctx)
}

// undecided is a refresh that has nothing to refresh.
func (r *Refresh) undecided(text, hint string) readiness.Exit {
	r.Log.Info("nothing to refresh: "+text, "hint", hint, "exit_code", int(readiness.ExitTempFail))
	return readiness.ExitTempFail
}

// unreadable is a refresh whose status.json was damaged or written by a later version.
func (r *Refresh) unreadable(err error) readiness.Exit {
	r.Log.Error("cannot refresh: "+err.Error(), "exit_code", int(readiness.ExitProtocol),
		"hint", "`systemctl restart imds-ready` writes all files again, in the format of this version")
	return readiness.ExitProtocol
}

// cannotWrite is a refresh that cannot use the directory or its files.
func (r *Refresh) cannotWrite(err error) readiness.Exit {
	r.Log.Error("cannot refresh: "+err.Error(), "class", string(policy.CannotWrite), "exit_code", int(readiness.ExitNoPerm),
		"hint", hints.Unwritable(r.Dir))
	return readiness.ExitNoPerm
}

// refresh requests everything and replaces the files.
func (r *run) refresh(ctx context.Context) readiness.Exit {
	if r.Now {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, nowWithin)
		defer cancel()
	}
	previous := r.dir.Previous(r.begun)
	metadata := r.metadata(previous)
	r.Client.Pace = collect.NewPacer(metadata.RequestsPerSecond).Wait
	fetched, err := r.require(ctx)
	if err != nil {
		return r.failed(ctx, err)
	}
	files := r.source.Collect(ctx, collect.Collector{
		Metadata: metadata, Policy: r.policy(), Fetched: fetched,
		Failed: func(f policy.Failure, v policy.Verdict, err error, _ int) {
			if v.Action != policy.Absent && f.Class != "404" { // a 404 is in missing, and nothing to worry about
				r.note(f, err)
			}
		},
	}, previous)
	if ctx.Err() != nil {
		return r.failed(ctx, context.Cause(ctx))
	}
	return r.publish(ctx, files)
}

// metadata returns the [metadata] table for this refresh.
func (r *run) metadata(previous *publish.Previous) collect.Metadata {
	m := r.Config.Metadata
	if r.Now {
		if most := nowWithin - requiredWithin - writeWithin; m.CollectDeadline == 0 || m.CollectDeadline > most {
			m.CollectDeadline = most
		}
		return m
	}
	m.Concurrency, m.RequestsPerSecond = 1, min(perSecond, max(1, m.RequestsPerSecond))
	if m.CollectDeadline > 0 {
		needed := time.Duration(previous.Paths()) * time.Second / time.Duration(m.RequestsPerSecond)
		m.CollectDeadline = max(m.CollectDeadline, needed*3/2)
	}
	return m
}

// policy returns the [retry] table for this refresh.
func (r *run) policy() policy.Policy {
	p := r.Config.Policy
	if !r.Now {
		p.Hedge = 0 // one request at a time
	}
	return p
}

// require gets the required paths, one after the other.
func (r *run) require(ctx context.Context) (map[string][]byte, error) {
	fetched := map[string][]byte{}
	for _, required := range r.Config.Require {
		p := r.policy()
		p.MaxAttempts, p.Deadline = required.MaxAttempts, requiredWithin
		if required.Deadline > 0 {
			p.Deadline = min(p.Deadline, required.Deadline)
		}
		getter := retry.Getter{
			Policy: p, Start: r.start, Fetch: r.source.Check,
			Failed: func(f policy.Failure, _ policy.Verdict, err error) { r.note(f, err) },
		}
		body, err := getter.Get(ctx, required.Path)
		if err != nil {
			return nil, err
		}
		fetched[required.Path] = body
	}
	return fetched, nil
}

// note records a failed attempt.
func (r *run) note(f policy.Failure, err error) {
	r.Log.Debug("attempt failed", "class", string(f.Class), "path", f.Path, "err", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = &attempt{time.Now(), f, err}
}

// lastError returns last_error of this refresh, or nil if no attempt failed.
func (r *run) lastError() *snapshot.LastError {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return nil
	}
	f, err := r.last.failure, r.last.err
	return &snapshot.LastError{
		At: r.last.at, Class: string(f.Class), Path: f.Path,
		Hint: r.hints.For(f, hints.Streak{}, err), Message: words.Shorten(err.Error(), maxMessage),
	}
}

// failed ends a refresh without the required paths: the files stay. Only the first of
// several is a warning, because the timer would repeat it every minute.
func (r *run) failed(ctx context.Context, err error) readiness.Exit {
	if signal, ok := errors.AsType[*readiness.Interrupted](err); ok {
		r.Log.Info("interrupted: " + err.Error())
		return signal.Exit()
	}
	exit, last := readiness.ExitTempFail, r.lastError()
	if gaveUp, ok := errors.AsType[*retry.GiveUpError](err); ok && last != nil {
		last.Class = string(gaveUp.Class)
		last.Hint = cmp.Or(last.Hint, hints.Last(gaveUp.Class, gaveUp.Path))
	} else { // the time of --now is over
		last = &snapshot.LastError{At: time.Now(), Class: string(policy.PastDeadline), Message: words.Shorten(err.Error(), maxMessage)}
	}
	if last.Class == string(policy.Disabled) {
		exit = readiness.ExitUnavailable
	}
	level := slog.LevelInfo
	if r.begun.StaleSince == nil {
		level = slog.LevelWarn
	}
	attrs := []any{"refresh", endFailed, "class", last.Class, "exit_code", int(exit)}
	if last.Path != "" {
		attrs = append(attrs, "path", last.Path)
	}
	if last.Hint != "" {
		attrs = append(attrs, "hint", last.Hint)
	}
	r.Log.Log(ctx, level, "refresh failed, and the files stay as they are: "+words.Shorten(err.Error(), maxMessage), attrs...)
	st, err := r.lock(ctx)
	if err == nil {
		now := time.Now()
		if st.StaleSince == nil {
			st.StaleSince = &now
		}
		st.UpdatedAt, st.LastError = &now, last
		err = r.write(st)
	}
	if err != nil {
		r.Log.Debug("writing the status", "err", err) // its reader sees that it is old
	}
	return exit
}
