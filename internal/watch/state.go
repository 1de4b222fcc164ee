// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

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
	since     time.Time // the start of the first round that failed since the last answer
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
	var changed bool
	if a.class == "" {
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
	r.dirty = r.dirty || changed || a.class != s.class || a.class == "" && s.answerAt.IsZero()
	s.class, s.err = a.class, a.err
	if a.class != "" {
		if s.since.IsZero() {
			s.since = r.begun
		}
		r.Log.Debug("request failed", "path", a.path, "class", string(a.class), "err", a.err)
		return
	}
	s.since, s.answerAt = time.Time{}, now
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

// failing returns the paths whose last request failed, in their order.
func (r *run) failing() []string {
	return slices.DeleteFunc(slices.Clone(r.Paths), func(path string) bool { return r.states[path].class == "" })
}

// extent is how many paths a warning is about.
type extent int

const (
	none extent = iota
	some
	all
)

// judge logs a warning if requests have failed for [silence], and one line when there is
// an answer again. While some paths fail, it warns once more if all do. The end of a
// silence is judged only after a round, because its answers come one by one.
func (r *run) judge(roundOver bool) {
	failing := r.failing()
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
	switch {
	case r.warned == none && failed > 0, r.warned == some && failed == len(r.Paths):
		r.warned = now
		first := r.states[failing[0]]
		r.Log.Warn(r.silent(failing, " for "+words.Duration(time.Since(first.since))), "path", failing[0], "class", string(first.class),
			"state", stateDeaf, "err", first.err,
			"hint", "the files keep what IMDS said before; `imds-ready probe` shows how one request ends now")
	case roundOver && now < r.warned:
		r.warned = now
		text := "IMDS answers again"
		if now == some {
			text += ", except for " + named(failing)
		}
		r.Log.Info(text, "state", stateBack)
	}
}

// named lists paths for people, at most three.
func named(paths []string) string {
	if n := len(paths) - 3; n > 0 {
		return strings.Join(paths[:3], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(paths, ", ")
}

// silent describes paths without an answer. lasting is "", or " for" and how long that lasts.
func (r *run) silent(failing []string, lasting string) string {
	what := "the requests for " + named(failing)
	if len(failing) == len(r.Paths) {
		what = "any request"
	}
	return fmt.Sprintf("no answer from IMDS to %s%s (%s)", what, lasting, r.states[failing[0]].class)
}

// statusText is STATUS=. It has no duration, so that it is sent only when something
// changes.
func (r *run) statusText() string {
	if failing := r.failing(); len(failing) > 0 {
		return r.silent(failing, "")
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
