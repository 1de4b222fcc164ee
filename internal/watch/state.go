// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/metrics"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// state is what is known of one path.
type state struct {
	present   bool
	lost      bool      // its file was removed together with the directory
	changedAt time.Time // zero: never
	answerAt  time.Time // zero: never
	class     policy.Class
	err       error     // of the last request, if class is not empty
	since     time.Time // the start of the first round with the trouble, if there is any
	loggedAt  time.Time // the start of a minute in which changes were logged at info
	logged    int       // how many were logged in it
}

// The states of lines in the log, which have a MESSAGE_ID each.
const (
	stateChanged = "changed" // a path
	stateDeaf    = "deaf"    // there have been no answers for [silence]
	stateBack    = "back"
)

// maxLogged is how many changes of one path are logged at info in a minute.
const maxLogged = 3

// state returns the state of a path at the start: an earlier process of this boot may have
// left its file.
func (d *directory) state(path string) *state {
	info, err := d.root.Lstat(path)
	if err != nil {
		return &state{}
	}
	return &state{present: true, changedAt: info.ModTime()}
}

// apply writes or removes the file of a path, as an answer says. A failure changes no
// file, and neither does an answer that cannot be written.
func (r *run) apply(a answer) {
	changed, answered := false, a.class == ""
	if answered {
		if a.absent {
			changed, a.err = r.dir.remove(a.path)
		} else {
			changed, a.err = r.dir.write(a.path, a.body)
		}
		if a.err != nil {
			a.class = policy.CannotWrite
		}
	}
	s, now := r.states[a.path], time.Now()
	changed = changed || a.absent && s.lost
	r.dirty = r.dirty || changed || a.class != s.class || answered && s.answerAt.IsZero()
	before := s.trouble()
	s.class, s.err = a.class, a.err
	if answered {
		s.answerAt = now
	}
	if is := s.trouble(); is != "" {
		if is != before {
			s.since = r.begun
		}
		r.Log.Debug(string(is), "path", a.path, "class", string(a.class), "err", a.err)
		return
	}
	if changed {
		r.logChange(a, s, now)
		s.present, s.changedAt = !a.absent, now
	}
	s.lost = false
}

// logChange logs a change at info, unless the path changes all the time, or its file was
// lost.
func (r *run) logChange(a answer, s *state, now time.Time) {
	text := a.path + " has changed"
	switch {
	case a.absent:
		text = a.path + " is gone"
	case !s.present:
		text = a.path + " has appeared"
	}
	if now.Sub(s.loggedAt) >= time.Minute {
		s.loggedAt, s.logged = now, 0
	}
	if s.logged++; s.logged > maxLogged || s.lost && !a.absent {
		r.Log.Debug(text, "path", a.path)
		return
	}
	r.Log.Info(text, "path", a.path, "state", stateChanged)
}

// trouble is what keeps the file of a path from being up to date. Each kind is judged by
// itself, because IMDS may answer while the file system is full.
type trouble string

const (
	silent     trouble = "request failed"
	unwritable trouble = "cannot write the file"
)

// trouble returns that of the last request, or "".
func (s *state) trouble() trouble {
	switch s.class {
	case "":
		return ""
	case policy.CannotWrite:
		return unwritable
	}
	return silent
}

// failing returns the paths with a trouble, in their order.
func (r *run) failing(t trouble) []string {
	return slices.DeleteFunc(slices.Clone(r.Paths), func(path string) bool { return r.states[path].trouble() != t })
}

// extent is how many paths a warning is about.
type extent int

const (
	none extent = iota
	some
	all
)

// judge logs a warning if a trouble has lasted for [silence], and one line when it is
// over. While it is that of some paths, it warns once more if it is that of all. The end
// is judged only after a round, because its answers come one by one.
func (r *run) judge(t trouble, roundOver bool) {
	failing := r.failing(t)
	now, failed := none, 0 // failed: paths that have failed for so long
	for _, path := range failing {
		if time.Since(r.states[path].since) >= silence {
			failed++
		}
	}
	switch {
	case len(failing) == len(r.Paths):
		now = all
	case len(failing) > 0:
		now = some
	}
	switch before := r.warned[t]; {
	case before == none && failed > 0, before == some && failed == len(r.Paths):
		r.warned[t] = now
		first := r.states[failing[0]]
		attrs := []any{"path", failing[0], "class", string(first.class), "err", first.err}
		if t == silent {
			attrs = append(attrs, "state", stateDeaf,
				"hint", "the files keep what IMDS said before; `imds-ready probe` shows how one request ends now")
		} else {
			attrs = append(attrs, "hint", hints.Unwritable(r.dir.path))
		}
		r.Log.Warn(r.describe(t, failing, " for "+words.Duration(time.Since(first.since))), attrs...)
	case t == unwritable && len(r.failing(silent)) > 0: // without an answer, nothing was written
	case roundOver && now < before:
		r.warned[t] = now
		text, attrs := "the files can be written again", []any(nil)
		if t == silent {
			text, attrs = "IMDS answers again", []any{"state", stateBack}
		}
		if now == some {
			text += ", except for " + named(failing)
		}
		r.Log.Info(text, attrs...)
	}
}

// named lists paths for people, at most three.
func named(paths []string) string {
	if n := len(paths) - 3; n > 0 {
		return strings.Join(paths[:3], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(paths, ", ")
}

// describe describes the trouble of some paths. lasting is "", or " for" and how long it
// has lasted.
func (r *run) describe(t trouble, failing []string, lasting string) string {
	if t == unwritable {
		return "cannot write the file of " + named(failing) + lasting
	}
	what := "the requests for " + named(failing)
	if len(failing) == len(r.Paths) {
		what = "any request"
	}
	return fmt.Sprintf("no answer from IMDS to %s%s (%s)", what, lasting, r.states[failing[0]].class)
}

// statusText is STATUS=. It has no duration, so that it is sent only when something
// changes.
func (r *run) statusText() string {
	var texts []string
	for _, t := range []trouble{unwritable, silent} {
		if failing := r.failing(t); len(failing) > 0 {
			texts = append(texts, r.describe(t, failing, ""))
		}
	}
	if len(texts) > 0 {
		return strings.Join(texts, "; ")
	}
	present := 0
	for _, s := range r.states {
		if s.present {
			present++
		}
	}
	return fmt.Sprintf("watching %s, of which %d exist", words.Plural(len(r.Paths), "path"), present)
}

// save writes status.json and the metrics.
func (r *run) save() error {
	r.savedAt = time.Now()
	st := snapshot.WatchStatus{
		BootID: r.BootID, PID: os.Getpid(), StartedAt: r.started, UpdatedAt: r.savedAt, Version: r.Version,
		Paths: map[string]snapshot.WatchedPath{},
	}
	for path, s := range r.states {
		st.Paths[path] = snapshot.WatchedPath{
			Present: s.present, ChangedAt: known(s.changedAt), LastAnswerAt: known(s.answerAt), Class: known(string(s.class)),
		}
	}
	if err := r.dir.writeStatus(st); err != nil {
		return err
	}
	r.dirty = false
	r.writeMetrics(st)
	return nil
}

// known returns a pointer to v, or nil if v is zero.
func known[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// writeMetrics writes the metrics. The first failure is a warning.
func (r *run) writeMetrics(st snapshot.WatchStatus) {
	if r.Textfile == "" {
		return
	}
	if err := metrics.Write(r.metricsFile(), metrics.Watch(st)); err != nil && !r.warnedOf {
		r.warnedOf = true
		r.Log.Warn("writing the metrics", "err", err, "hint", metrics.Hint)
	}
}
