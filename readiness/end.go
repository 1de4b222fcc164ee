// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// end writes the final status, reports it to systemd and in the log, and returns
// the exit code.
func (r *run) end(o outcome) Exit {
	if o.class == policy.Interrupted {
		r.progress.end()
		r.progress.send("STOPPING=1\nSTATUS=" + statusText("interrupted: "+o.err.Error()))
	}
	if err := r.dir.InPlace(); err != nil && o.exit == ExitOK {
		o = r.cannotWrite(err) // readers would not find the files
		o.hint = "restart the gate; nothing may move, remove or mount over " + r.Dir + " while it runs"
	}
	err := r.progress.finish(o.fill)
	if err != nil && o.exit == ExitOK {
		o = r.cannotWrite(err)
		err = r.progress.finish(o.fill) // it may fit now
	}
	if err != nil {
		r.Log.Warn("writing the final status", "err", err) // the error line comes with the hint
	}
	if o.exit != ExitOK {
		return r.fail(o)
	}
	// The files and their status are in place; now one datagram says so.
	if err := r.Notify("READY=1\nSTATUS=" + statusText(o.text)); err != nil {
		o.state, o.exit, o.class, o.collects, o.text = snapshot.Failed, ExitFailure, policy.CannotWrite, false, ""
		if sum, err := r.dir.WriteState(o.state); err == nil && o.files != nil { // systemd does not know that it is ready
			o.files[snapshot.EnvFile] = sum
		}
		o.err = fmt.Errorf("sending READY=1: %w", err)
		o.hint = "the files are in place, but systemd was not told; see NOTIFY_SOCKET"
		_ = r.progress.finish(o.fill)
		return r.fail(o)
	}
	attrs := []any{"state", o.state, "elapsed", time.Since(r.progress.start), "requests", r.Client.Requests()}
	if len(o.missing) > 0 {
		attrs = append(attrs, "missing", len(o.missing))
	}
	if !o.warn {
		r.Log.Info(o.text, attrs...)
		return ExitOK
	}
	r.Log.Warn(o.text, append(r.explain(o), attrs...)...)
	return ExitOK
}

// fill makes the outcome part of the final status.
func (o outcome) fill(st *snapshot.Status) {
	now, exit := time.Now(), int(o.exit)
	st.State, st.ExitCode, st.ReadyAt = o.state, &exit, nil
	if o.exit == ExitOK {
		st.ReadyAt = &now
	}
	if o.files != nil {
		st.Files = o.files
	}
	if o.missing != nil {
		st.Missing, st.MissingMore = o.missing, 0
	}
	if o.collects {
		st.Generation++
		st.Changed, st.CollectedAt, st.StaleSince = o.changed, &now, nil
	}
	switch o.class {
	case policy.Interrupted, policy.NotEC2, policy.InvalidConfig, policy.CannotWrite:
		st.LastError = &snapshot.LastError{At: now, Class: string(o.class), Hint: o.hint, Message: o.err.Error()}
	}
}

// fail reports to systemd and in the log why there is no READY=1.
func (r *run) fail(o outcome) Exit {
	text := cmp.Or(o.text, "failed: "+words.Shorten(o.err.Error(), maxStatus))
	if o.class != policy.Interrupted { // STOPPING=1 said so
		r.announceFailure(text, o.exit)
	}
	level := slog.LevelError
	if o.class == policy.Interrupted {
		level = slog.LevelWarn // it was intended
	}
	r.Log.Log(context.Background(), level, text, r.explain(o)...)
	return o.exit
}

// announceFailure sends the final STATUS= and ERRNO=.
func (d *Daemon) announceFailure(text string, exit Exit) {
	state := "STATUS=" + statusText(text)
	if errno := exit.errno(); errno != 0 {
		state += fmt.Sprintf("\nERRNO=%d", int(errno))
	}
	if err := d.Notify(state); err != nil {
		d.Log.Debug("notifying systemd", "err", err)
	}
}

// explain is what the last line says besides its message: the class and a hint.
func (r *run) explain(o outcome) []any {
	class, hint, path := string(o.class), o.hint, o.path
	if last := r.progress.lastError(); hint == "" && last != nil {
		hint = last.Hint
	}
	attrs := []any{}
	if o.exit != ExitOK {
		attrs = append(attrs, "state", o.state)
	}
	for _, a := range []struct{ key, value string }{{"class", class}, {"path", path}, {"hint", hint}} {
		if a.value != "" {
			attrs = append(attrs, a.key, a.value)
		}
	}
	if o.exit != ExitOK {
		attrs = append(attrs, "elapsed", time.Since(r.progress.start))
	}
	return append(attrs, "exit_code", int(o.exit))
}
