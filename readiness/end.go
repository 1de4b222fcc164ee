// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// end writes the final status, says so to systemd and to the log, and returns
// the exit code.
func (r *run) end(o outcome) Exit {
	if o.class == policy.Interrupted {
		r.progress.tell("STOPPING=1\nSTATUS=interrupted: " + oneLine(o.err.Error()))
	}
	if err := r.dir.InPlace(); err != nil && o.exit == ExitOK {
		o = r.cannotWrite(err) // readers would not find the files
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
	// The files and their status are in place; now, in one datagram, that they
	// are.
	if err := r.Notify("READY=1\nSTATUS=" + oneLine(o.text)); err != nil {
		o.state, o.exit, o.class, o.collects, o.text = snapshot.Failed, ExitFailure, policy.CannotWrite, false, ""
		if sum, err := r.dir.WriteState(o.state); err == nil && o.files != nil { // nobody was told that it is ready
			o.files[snapshot.EnvFile] = sum
		}
		o.err = fmt.Errorf("sending READY=1: %w", err)
		o.hint = "the files are in place, but systemd was not told; see NOTIFY_SOCKET"
		_ = r.progress.finish(o.fill)
		return r.fail(o)
	}
	r.console(o.text)
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
	}
	switch o.class {
	case policy.Interrupted, policy.NotEC2, policy.InvalidConfig, policy.CannotWrite:
		st.LastError = &snapshot.LastError{At: now, Class: string(o.class), Hint: o.hint, Message: o.err.Error()}
	}
}

// fail tells systemd and the log why there is no READY=1.
func (r *run) fail(o outcome) Exit {
	text := cmp.Or(o.text, "failed: "+shorten(o.err.Error(), maxStatus))
	if o.class != policy.Interrupted { // that was said with STOPPING=1
		r.announceFailure(text, o.exit)
	}
	r.console(text)
	level := slog.LevelError
	if o.class == policy.Interrupted {
		level = slog.LevelWarn // somebody wanted it
	}
	r.Log.Log(context.Background(), level, text, r.explain(o)...)
	return o.exit
}

// console tells whoever watches the machine boot.
func (d *Daemon) console(text string) {
	if d.Console != nil {
		fmt.Fprintln(d.Console, "imds-ready: "+oneLine(text)) // nothing depends on it
	}
}

// announceFailure sends the final STATUS= and ERRNO=.
func (d *Daemon) announceFailure(text string, exit Exit) {
	state := "STATUS=" + oneLine(text)
	if errno := exit.errno(); errno != 0 {
		state += fmt.Sprintf("\nERRNO=%d", int(errno))
	}
	if err := d.Notify(state); err != nil {
		d.Log.Debug("notifying systemd", "err", err)
	}
}

// explain is what the last line has beside its message: the class and what to
// do about it.
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
