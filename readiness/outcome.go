// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/imds-ready/imds-ready/internal/collect"
	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
	"github.com/imds-ready/imds-ready/snapshot"
)

// outcome is how a run ends: the outcomes table of imds-ready.toml(5).
type outcome struct {
	state string
	exit  Exit // READY=1 is sent for ExitOK
	// class and err are what ended it, if that is not ready; a class that was
	// counted already is in last_error.
	class policy.Class
	path  string
	err   error
	hint  string
	// text is the final STATUS=. If empty, it is made from err.
	text string
	// warn is true for a green unit that an operator should know of.
	warn bool
	// The result of publishing.
	files    map[string]*string
	changed  []string // names of the files that were replaced or removed
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
	gaveUp, ok := errors.AsType[*retry.GiveUpError](err)
	if !ok { // the caller's context ended without a signal
		return interrupted(err, ExitFailure)
	}
	r.progress.blame(gaveUp.Path, gaveUp.Class)
	o := outcome{state: snapshot.Failed, class: gaveUp.Class, path: gaveUp.Path, err: err}
	o.exit = r.progress.exit(gaveUp.Class)
	choice, key := r.Config.OnTimeout, "on_timeout"
	if gaveUp.Class == policy.Disabled {
		choice, key = r.Config.OnDisabled, "on_disabled"
	}
	if choice == Continue {
		if gaveUp.Rule > 0 {
			key = fmt.Sprintf("retry.rule[%d], %s", gaveUp.Rule, key)
		}
		o.state, o.exit, o.warn = snapshot.Degraded, ExitOK, true
		o.text = fmt.Sprintf("degraded: no %s: %s (%s = continue)", gaveUp.Path, phrase(gaveUp.Class), key)
	}
	return o
}

// exit is the exit code for a required path that was given up for a class.
func (p *progress) exit(class policy.Class) Exit {
	switch {
	case class == policy.Disabled:
		return ExitUnavailable
	case class == policy.Blocked:
		return ExitNoPerm
	case p.onlyNotIMDS():
		return ExitProtocol
	default:
		return ExitTempFail
	}
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
	if _, ok := r.gate.fetched[paths.Identity]; !ok { // skipped, or degraded without metadata
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
	s := r.gate.source.Collect(ctx, r.collector(), r.dir.Previous(r.previous))
	if ctx.Err() != nil {
		return r.decide(context.Cause(ctx))
	}
	o.missing = s.Missing
	s.WarnOmitted(r.Log)
	r.Log.Debug("writing the files", "missing", len(o.missing))
	files, changed, err := r.dir.Publish(s.Snapshot, o.state, func(string) { r.progress.step(0) })
	if err != nil {
		return r.cannotWrite(err)
	}
	o.files, o.changed, o.collects = files, changed, true
	if o.state == snapshot.Ready {
		o.text = fmt.Sprintf("ready in %s: %s, %s", words.Seconds(time.Since(r.progress.start)),
			s.InstanceID(), words.Plural(r.progress.attempts(), "attempt"))
	}
	if failed := gather.Named(o.missing); failed != "" {
		o.text += "; missing: " + failed
		o.hint = cmp.Or(o.hint, "requests for these paths failed until the collection gave up; values that this boot had served before are "+
			"kept; `imds-ready status` lists what is missing")
		o.warn = true
	}
	return o
}

// collector describes the collection of everything that is not required.
func (r *run) collector() collect.Collector {
	return collect.Collector{
		Metadata: r.Config.Metadata, Policy: r.Config.Policy, Fetched: r.gate.fetched, Failed: r.progress.collecting,
		Refused: func(listing string, entries []string) {
			r.Log.Warn("ignored entries of a listing that are not names", "path", listing,
				"entries", len(entries), "first", words.Excerpt(entries[0]))
		},
	}
}
