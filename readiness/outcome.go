// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// outcome is how a run ends: the outcomes table of imds-ready.toml(5).
type outcome struct {
	state string
	exit  Exit // ExitOK: READY=1
	// class and err are what ended it, where that is not ready; a class that
	// was already counted is in last_error.
	class policy.Class
	path  string
	err   error
	hint  string
	// text is the final STATUS=; "" with an err: what that says.
	text string
	// warn is true for a green unit that somebody should know of.
	warn bool
	// What publishing has brought.
	files    map[string]*string
	missing  map[string]string
	collects bool // a successful collection
}

// decide turns the end of the gate into an outcome.
func (r *run) decide(err error) outcome {
	if err == nil {
		return outcome{state: snapshot.Ready}
	}
	if signal, ok := errors.AsType[*Interrupted](err); ok {
		return interrupted(signal, signal.Exit())
	}
	gaveUp, ok := errors.AsType[*GiveUpError](err)
	if !ok { // the caller's context ended without a signal
		return interrupted(err, ExitFailure)
	}
	r.progress.blame(gaveUp.Path)
	o := outcome{state: snapshot.Failed, class: gaveUp.Class, path: gaveUp.Path, err: err}
	choice, key := r.Config.OnTimeout, "on_timeout"
	switch {
	case gaveUp.Class == policy.Disabled:
		o.exit, choice, key = ExitUnavailable, r.Config.OnDisabled, "on_disabled"
	case gaveUp.Class == policy.Blocked:
		o.exit = ExitNoPerm
	case r.progress.onlyForeign():
		o.exit = ExitProtocol
	default:
		o.exit = ExitTempFail
	}
	if choice == Continue {
		o.state, o.exit, o.warn = snapshot.Degraded, ExitOK, true
		o.text = fmt.Sprintf("degraded: no %s: %s (%s = continue)", gaveUp.Path, phrase(gaveUp.Class), key)
	}
	return o
}

func interrupted(err error, exit Exit) outcome {
	return outcome{
		state: snapshot.Failed, exit: exit, class: policy.Interrupted, err: err,
		hint: "stopped before the gate was decided; `systemctl start imds-ready` begins a new wait",
	}
}

// notEC2 is a machine whose firmware names another vendor.
func (r *run) notEC2(vendor string) outcome {
	o := outcome{
		state: snapshot.Skipped, class: policy.NotEC2, warn: true,
		err:  fmt.Errorf("detecting EC2: the firmware's vendor is %q", vendor),
		hint: `set ready.on_not_ec2 = "try" to ask anyway, or endpoint.url for an IMDS elsewhere`,
		text: fmt.Sprintf("skipped: not EC2: the firmware's vendor is %q", vendor),
	}
	if r.Config.OnNotEC2 == Fail {
		o.state, o.exit, o.text = snapshot.Failed, ExitUnavailable, ""
	}
	return o
}

func (r *run) cannotWrite(err error) outcome {
	hint := "look for a full or read-only file system at " + r.Dir + ", and for files there that are not ours"
	if errors.Is(err, fs.ErrPermission) {
		hint = r.Dir + " and the files in it have to belong to the user that the daemon runs as; the unit's is imds-ready"
	}
	return outcome{state: snapshot.Failed, exit: ExitNoPerm, class: policy.CannotWrite, err: err, hint: hint}
}

// publish collects what the outcome allows and writes the files, all but
// status.json.
func (r *run) publish(ctx context.Context, o outcome) outcome {
	if _, ok := r.gate.had[IdentityPath]; !ok { // skipped, or degraded with nothing to show
		sum, err := r.dir.WriteState(o.state)
		if err != nil {
			return r.cannotWrite(err)
		}
		o.files = map[string]*string{}
		for name, old := range r.progress.status.Files {
			o.files[name] = old
		}
		o.files[snapshot.EnvFile] = sum
		return o
	}
	leaves, missing := r.collect(ctx)
	if ctx.Err() != nil {
		return r.decide(context.Cause(ctx))
	}
	s, problems := publish.Build(leaves)
	if names := s.Omitted(); len(names) > 0 {
		r.Log.Warn("imds.env leaves out variables: a value has more than 255 bytes, or does not begin with a letter, a digit or a slash",
			"variables", strings.Join(names, " "))
	}
	o.missing = map[string]string{}
	for path, class := range missing {
		o.missing[path] = string(class)
	}
	for _, p := range problems {
		o.missing[p.Path] = p.Class
	}
	s = s.Keeping(o.missing)
	files, _, err := r.dir.Publish(s, o.state, func(string) { r.progress.step(0) })
	if err != nil {
		return r.cannotWrite(err)
	}
	for _, name := range s.Kept() {
		if old, ok := r.progress.status.Files[name]; ok {
			files[name] = old
		}
	}
	o.files, o.collects = files, true
	if o.state == snapshot.Ready {
		o.text = fmt.Sprintf("ready in %s: %s, %s", inSeconds(time.Since(r.progress.start)),
			s.InstanceID(), plural(r.progress.attempts(), "attempt"))
	}
	return o
}

// collect crawls what is not required, and returns what there is.
func (r *run) collect(ctx context.Context) (map[string][]byte, map[string]policy.Class) {
	c := &crawl{
		config: r.Config, get: r.Client.Get, step: r.progress.stepOfCrawl,
		had: r.gate.had, leaves: map[string][]byte{}, missing: map[string]policy.Class{},
		debug: func(f policy.Failure, v policy.Verdict, err error) {
			r.Log.Debug("attempt failed", "attempt", v.Attempt, "class", f.Class, "path", f.Path, "retry_in", v.Pause,
				"elapsed", time.Since(r.progress.start), "err", err)
		},
		refuse: func(listing string, entries []string) {
			r.Log.Warn("a listing has entries that are no names; ignored", "path", listing,
				"entries", len(entries), "first", excerpt(entries[0]))
		},
	}
	c.run(ctx)
	return c.leaves, c.missing
}
