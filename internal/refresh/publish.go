// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/internal/metrics"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// How long a refresh tries to take the lock from another refresh, which holds it for
// milliseconds, and how often it tries.
const (
	lockWithin = 3 * time.Second
	lockEvery  = 50 * time.Millisecond
)

// The reasons to discard a collection because status.json or the files are not those of the
// start.
var (
	errRefreshed = errors.New("another refresh has replaced the files meanwhile")
	errRestarted = errors.New("the gate was started meanwhile, and collects the metadata itself")
	errKilled    = errors.New("another refresh was ended while it replaced the files; the next one replaces all of them")
)

// lock takes the lock and returns the status, which is the one that this refresh began with
// except for stale_since.
func (r *run) lock(ctx context.Context) (snapshot.Status, error) {
	for start := time.Now(); ; {
		err := r.dir.Lock()
		if err == nil {
			return r.sameStatus()
		}
		locked, ok := errors.AsType[*publish.LockedError](err)
		if ok && locked.Gate {
			return snapshot.Status{}, errRestarted
		}
		if !ok || time.Since(start) >= lockWithin {
			return snapshot.Status{}, err
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			return snapshot.Status{}, context.Cause(ctx)
		}
	}
}

// sameStatus reads the status again, and returns an error if the collection must be
// discarded. The lock is held.
func (r *run) sameStatus() (snapshot.Status, error) {
	if err := r.dir.InPlace(); err != nil {
		return snapshot.Status{}, err // readers would not find the files
	}
	st, err := r.dir.Status()
	switch {
	case err != nil:
		return snapshot.Status{}, err
	case st.BootID != r.begun.BootID, !sameTime(st.StartedAt, r.begun.StartedAt):
		return snapshot.Status{}, errRestarted
	case st.Generation != r.begun.Generation:
		return snapshot.Status{}, errRefreshed
	}
	return st, nil
}

// sameFiles returns an error if a file is not the one of the start although the status is: a
// refresh that was killed has replaced it, with a value that may be newer than the one of
// this collection. The lock is held.
func (r *run) sameFiles() error {
	for name, sum := range r.dir.Sums() {
		if before, ok := r.sums[name]; ok && before != sum {
			return errKilled
		}
	}
	return nil
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// publish replaces the files that changed.
func (r *run) publish(ctx context.Context, files gather.Files) readiness.Exit {
	st, err := r.lock(ctx)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = r.sameFiles()
	}
	if err != nil {
		return r.discard(err)
	}
	before := st
	st.State = snapshot.Ready // as every required path was fetched
	sums, changed, err := r.dir.Publish(files.Snapshot, st.State, nil)
	if err != nil {
		return r.cannotWrite(err)
	}
	now := time.Now()
	st.Files, st.Changed, st.CollectedAt, st.UpdatedAt, st.StaleSince = sums, changed, &now, &now, nil
	st.Generation++
	st.Missing, st.MissingMore = files.Missing, 0
	st.Requests, st.LastError = r.Client.Requests(), r.lastError()
	st.Required = map[string]snapshot.Requirement{}
	for _, required := range r.Config.Require {
		st.Required[required.Path] = snapshot.Requirement{OK: true}
	}
	if endpoint := r.Client.Endpoint(); endpoint != "" {
		st.Endpoint = &endpoint
	}
	if err := r.write(st); err != nil {
		return r.cannotWrite(err)
	}
	r.report(before, st)
	if slices.Contains(changed, snapshot.EnvFile) {
		files.WarnOmitted(r.Log)
	}
	return readiness.ExitOK
}

// discard ends a refresh whose collection is not used.
func (r *run) discard(err error) readiness.Exit {
	signal, interrupted := errors.AsType[*readiness.Interrupted](err)
	_, locked := errors.AsType[*publish.LockedError](err)
	exit := readiness.ExitTempFail
	switch {
	case interrupted:
		exit = signal.Exit()
	case errors.Is(err, errRefreshed):
		exit = readiness.ExitOK
	case locked:
		r.Log.Warn("refresh failed: "+err.Error(), "exit_code", int(exit),
			"hint", "a refresh holds the lock for milliseconds, so it is probably stopped: see `systemctl status imds-ready-refresh`")
		return exit
	case errors.Is(err, snapshot.ErrNotOurs), errors.Is(err, snapshot.ErrLaterSchema):
		return r.unreadable(err)
	case errors.Is(err, errRestarted), errors.Is(err, errKilled), errors.Is(err, context.DeadlineExceeded):
	default:
		return r.cannotWrite(err)
	}
	r.Log.Info("the collection is not used: "+err.Error(), "exit_code", int(exit))
	return exit
}

// write writes status.json and the metrics. The lock is held.
func (r *run) write(st snapshot.Status) error {
	st.Version = r.Version
	if err := r.dir.WriteStatus(st); err != nil {
		return err
	}
	if r.Config.Textfile == "" {
		return nil
	}
	if err := metrics.Write(r.Config.Textfile, metrics.Gate(st)); err != nil {
		r.Log.Info("writing the metrics", "err", err, // the gate has warned about it
			"hint", "`imds-ready check` shows the drop-in that the unit needs")
	}
	return nil
}

// report logs a refresh that succeeded. Only news are a notice or a warning.
func (r *run) report(before, st snapshot.Status) {
	attrs := []any{"elapsed", time.Since(r.start), "requests", st.Requests}
	level, text := slog.LevelInfo, "refreshed, and no file has changed"
	if names := strings.Join(st.Changed, " "); names != "" {
		text = "refreshed"
		attrs = append(attrs, "changed", names)
	}
	missing, missed := gather.Named(st.Missing), gather.Named(before.Missing)
	switch {
	case before.State == snapshot.Degraded:
		level, text = LevelNotice, "ready after a degraded gate, because every required path was fetched"
		attrs = append(attrs, "refresh", endReady)
	case before.StaleSince != nil:
		level, text = LevelNotice, "refreshed again after "+words.Duration(st.CollectedAt.Sub(*before.StaleSince))
		attrs = append(attrs, "refresh", endCurrent)
	case missed != "" && missing == "":
		level, text = LevelNotice, "refreshed, and nothing is missing any more"
		attrs = append(attrs, "refresh", endCurrent)
	}
	if missing != "" {
		text += "; missing: " + missing
		attrs = append(attrs, "missing", len(st.Missing))
	}
	if missing != "" && missed == "" {
		level = slog.LevelWarn
		attrs = append(attrs, "hint", "values that this boot had served before are kept; `imds-ready status` lists what is missing")
	}
	r.Log.Log(context.Background(), level, text, attrs...)
}
