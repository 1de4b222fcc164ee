// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// How often a wait is reported.
const (
	reportEvery = time.Second      // STATUS= and status.json
	logEvery    = 10 * time.Second // a line at info for one class on one path
	stepSlack   = 30 * time.Second // EXTEND_TIMEOUT_USEC beyond the longest step
	firstWithin = time.Millisecond // how long the first status.json may wait for the first request
)

// progress reports how the wait goes, in status.json, STATUS= and the log. While
// the wait goes on, one goroutine owns the notification socket and status.json:
// the methods only note the newest state and wait for neither, except for the first
// status.json. They are safe for concurrent use.
type progress struct {
	log      *slog.Logger
	notify   func(state string) error
	write    func(st snapshot.Status, final bool) error
	requests func() int
	endpoint func() string
	start    time.Time
	metrics  textfile
	hints    hints.Settings

	due           chan struct{} // one slot: there may be something to report
	stop, stopped chan struct{} // nil before launch and after end
	first, begun  chan struct{} // the first status.json is due, or written
	unwritten     error         // of the first status.json

	mu       sync.Mutex // not held while sending, writing or logging
	status   snapshot.Status
	streaks  map[string]*streak // by path
	answers  int                // failed attempts at required paths that got an answer
	notIMDS  int                // those of them that cannot come from IMDS
	text     string             // the next STATUS=, if not empty
	class    policy.Class       // what the newest STATUS= is about
	textAt   time.Time          // when the last STATUS= was sent
	promise  time.Time          // what systemd must be patient until
	promised time.Time          // what it was told
	changed  bool               // status differs from status.json
	savedAt  time.Time
	warnedAt time.Time // of a status.json that could not be written
}

// streak is a run of failures of one class on one path.
type streak struct {
	class  policy.Class
	since  time.Time
	count  int
	mixed  bool // connect-timeout and unreachable alternate
	hint   string
	hinted time.Time
	last   *snapshot.LastError
	logged map[policy.Class]time.Time
}

// launch sends the first STATUS= and starts to report. After hurry or begin, at the latest
// after [firstWithin], it writes the first status.json and metrics. If status.json cannot be
// written, abort gets the error.
func (p *progress) launch(abort func(error)) {
	p.send("STATUS=waiting for IMDS")
	st := p.current()
	p.savedAt = *st.UpdatedAt
	p.due, p.stop, p.stopped = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	p.first, p.begun = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(p.stopped)
		select {
		case <-p.first:
		case <-time.After(firstWithin):
		}
		if p.unwritten = p.write(st, false); p.unwritten != nil {
			abort(p.unwritten)
		}
		p.metrics.write(st)
		close(p.begun)
		p.report()
	}()
}

// hurry makes the first status.json due now. The daemon calls it when the first request is
// on its way: if IMDS answers at once, writing does not prolong the wait.
func (p *progress) hurry() {
	select {
	case p.first <- struct{}{}:
	default:
	}
}

// begin waits for the first status.json, and returns the error of its writing.
func (p *progress) begin() error {
	p.hurry()
	<-p.begun
	return p.unwritten
}

// end stops the reporting; what is being sent or written is finished first.
func (p *progress) end() {
	if p.stop != nil {
		close(p.stop)
		<-p.stopped
		p.stop = nil
	}
}

// report sends and writes what is due, until end.
func (p *progress) report() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(p.flush())
		select {
		case <-p.due:
		case <-timer.C:
		case <-p.stop:
			return
		}
	}
}

// flush sends and writes what is due now, and returns how long nothing else will
// be.
func (p *progress) flush() time.Duration {
	now := time.Now()
	next := time.Hour
	due := func(last time.Time) bool {
		wait := last.Add(reportEvery).Sub(now)
		if wait > 0 {
			next = min(next, wait)
		}
		return wait <= 0
	}
	var lines []string
	p.mu.Lock()
	if p.extends() {
		p.promised = p.promise
		lines = append(lines, "EXTEND_TIMEOUT_USEC="+strconv.FormatInt(p.promise.Sub(now).Microseconds(), 10))
	}
	if p.text != "" && due(p.textAt) {
		lines = append(lines, "STATUS="+p.text)
		p.text, p.textAt = "", now
	}
	save := p.changed && due(p.savedAt)
	p.mu.Unlock()
	if lines != nil {
		p.send(strings.Join(lines, "\n"))
	}
	if save {
		p.save()
	}
	return next
}

// save writes status.json. A status that cannot be written now does not end the
// wait; it is tried again in a second.
func (p *progress) save() {
	st := p.current()
	err := p.write(st, false)
	p.mu.Lock()
	p.savedAt = *st.UpdatedAt
	warn := err != nil && time.Since(p.warnedAt) >= logEvery
	if warn {
		p.warnedAt = time.Now()
	}
	if err != nil {
		p.changed = true
		p.poke()
	}
	p.mu.Unlock()
	if warn {
		p.log.Warn("writing the status", "err", err)
	}
}

// current is the status of now, for writing.
func (p *progress) current() snapshot.Status {
	requests, endpoint, now := p.requests(), p.endpoint(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = false
	p.status.UpdatedAt = &now
	p.status.Elapsed = snapshot.Seconds(now.Sub(p.start))
	p.status.Requests = requests
	if endpoint != "" {
		p.status.Endpoint = &endpoint
	}
	st := p.status
	st.Errors, st.Required = maps.Clone(st.Errors), maps.Clone(st.Required)
	return st
}

// poke tells the reporting goroutine that something may be due.
func (p *progress) poke() {
	select {
	case p.due <- struct{}{}:
	default:
	}
}

// step keeps systemd patient for longer than the next step can take. What would
// add less than a second is not sent.
func (p *progress) step(longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(longest + stepSlack); until.After(p.promise) {
		p.promise = until
	}
	if p.extends() {
		p.poke()
	}
}

// extends reports whether systemd must be told to be patient for longer.
func (p *progress) extends() bool { return p.promise.Sub(p.promised) >= time.Second }

// send sends a notification that nothing depends on.
func (p *progress) send(state string) {
	if err := p.notify(state); err != nil {
		p.log.Debug("notifying systemd", "err", err)
	}
}

// fetched records that a required path was fetched and counts the attempt.
func (p *progress) fetched(path string) {
	p.mu.Lock()
	p.status.Attempts++
	p.status.Required[path] = snapshot.Requirement{OK: true}
	p.changed = true
	p.poke()
	p.mu.Unlock()
	p.log.Debug("fetched", "path", path, "elapsed", time.Since(p.start))
}

// failed counts a failed attempt at a required path, whose wait ends at the
// deadline, and reports it if that is news.
func (p *progress) failed(deadline time.Duration, f policy.Failure, v policy.Verdict, err error) {
	_ = p.begin() // its error ends the wait
	now := time.Now()
	hint := p.hintFor(f, now, err)
	p.mu.Lock()
	if v.Action != policy.Wait {
		p.status.Attempts++
	}
	p.status.Errors[string(f.Class)]++
	p.countAnswer(f)
	class := string(f.Class)
	s := p.streaks[f.Path]
	if hint != nil {
		s.hint, s.hinted = *hint, now
	}
	p.status.Required[f.Path] = snapshot.Requirement{Class: &class, Hint: s.hint}
	s.last = &snapshot.LastError{At: now, Class: class, Hint: s.hint, Message: words.Shorten(err.Error(), maxStatus), Path: f.Path}
	p.status.LastError = s.last
	p.changed = true
	if f.Class != p.class || now.Sub(p.textAt) >= reportEvery {
		p.class = f.Class
		p.text = statusText(waiting(f, v, now.Sub(p.start), deadline))
	}
	p.poke()
	news := s.isNews(v, now)
	last := *s.last
	p.mu.Unlock()
	p.logFailure(f, v, last, news)
}

// collecting reports a failed attempt at an optional path, of which some are left.
func (p *progress) collecting(f policy.Failure, v policy.Verdict, err error, left int) {
	now := time.Now()
	p.log.Debug("attempt failed", "attempt", v.Attempt, "class", f.Class, "path", f.Path, "retry_in", v.Pause,
		"elapsed", now.Sub(p.start), "err", err)
	if v.Action == policy.Absent {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = statusText(fmt.Sprintf("collecting: %s left, %s (%s)", words.Plural(left, "path"), f.Path, f.Class))
	p.poke()
}

// hintFor counts a failure of a path's streak and returns a new hint if one is
// due. Some hints look at the machine, so no mutex is held for them.
func (p *progress) hintFor(f policy.Failure, now time.Time, err error) *string {
	p.mu.Lock()
	s := p.streaks[f.Path]
	if s == nil {
		s = &streak{logged: map[policy.Class]time.Time{}}
		p.streaks[f.Path] = s
	}
	switch was := s.class; {
	case was == f.Class:
	case noAnswer(was) && noAnswer(f.Class): // one streak
		s.class, s.hint, s.mixed = f.Class, "", true
	default:
		s.class, s.since, s.count, s.hint, s.mixed = f.Class, now, 0, "", false
	}
	s.count++
	due := s.hint == "" || now.Sub(s.hinted) >= reportEvery || f.Class == policy.Mismatch // its hint has the value
	l := hints.Streak{Lasted: now.Sub(s.since), Count: s.count, Mixed: s.mixed}
	p.mu.Unlock()
	if !due {
		return nil
	}
	return new(p.hints.For(f, l, err))
}

// noAnswer reports whether a class is one of those that alternate while ARP gets no
// answer.
func noAnswer(c policy.Class) bool { return c == policy.ConnectTimeout || c == policy.Unreachable }

// countAnswer counts an answer, and whether it can come from IMDS. p.mu is held.
func (p *progress) countAnswer(f policy.Failure) {
	if !f.Class.Answered() && f.Other != nil {
		f = *f.Other
	}
	if f.Class.Answered() {
		p.answers++
		if f.Class == policy.BadResponse || f.Class == policy.TooLarge {
			p.notIMDS++
		}
	}
}

// isNews reports whether the last failure is logged at info: not every one of a
// class, and a class that comes back at most once a second. p.mu is held.
func (s *streak) isNews(v policy.Verdict, now time.Time) bool {
	quiet := logEvery
	if s.count == 1 {
		quiet = reportEvery
	}
	if v.Stop != nil || now.Sub(s.logged[s.class]) < quiet {
		return false
	}
	s.logged[s.class] = now
	return true
}

// logFailure logs every failure at debug, and at info if it is news.
func (p *progress) logFailure(f policy.Failure, v policy.Verdict, last snapshot.LastError, news bool) {
	if !news && !p.log.Enabled(context.Background(), slog.LevelDebug) {
		return // as most of the time: then the attributes are not needed
	}
	attrs := []any{
		"attempt", v.Attempt, "class", last.Class, "path", f.Path,
		"retry_in", v.Pause, "elapsed", last.At.Sub(p.start), "err", last.Message,
	}
	if f.Endpoint != "" {
		attrs = append(attrs, "endpoint", f.Endpoint)
	}
	p.log.Debug("attempt failed", attrs...)
	if news {
		p.log.Info("waiting for "+waitsFor(f)+": "+phrase(f.Class), attrs...)
	}
}

// finish ends the reporting and writes the final status.json and metrics, as
// change makes them.
func (p *progress) finish(change func(*snapshot.Status)) error {
	p.end()
	p.mu.Lock()
	change(&p.status)
	p.status.PID = nil
	p.mu.Unlock()
	st := p.current()
	err := p.write(st, true)
	p.metrics.write(st) // even so: they may be elsewhere
	return err
}

// onlyNotIMDS reports whether there were answers to failed attempts at required
// paths, and none of them can come from IMDS.
func (p *progress) onlyNotIMDS() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers > 0 && p.answers == p.notIMDS
}

// attempts is how many attempts the required paths took.
func (p *progress) attempts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.Attempts
}

// blame makes the last failure of a path the last one of all, because the path
// ended the gate and others may have failed since. class is what the path was
// given up for: if it is another than the last failure's, the hint is for it. There always
// is a hint, because nothing else follows.
func (p *progress) blame(path string, class policy.Class) {
	hint := p.hints.For(policy.Failure{Class: class, Path: path, Required: true, Token: true}, hints.Streak{}, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.streaks[path]
	if s == nil || s.last == nil {
		return
	}
	last := *s.last
	if last.Class != string(class) {
		last.Class, last.Hint = string(class), hint
	}
	last.Hint = cmp.Or(last.Hint, hints.Last(class, path))
	p.status.LastError = &last
}

// lastError is the last failure, or nil.
func (p *progress) lastError() *snapshot.LastError {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.LastError
}

// waitsFor names what is waited for: IMDS itself, or a path that it does not have
// yet.
func waitsFor(f policy.Failure) string {
	if f.Path == paths.Identity {
		return "IMDS"
	}
	return f.Path
}

// waiting is STATUS= during the wait.
func waiting(f policy.Failure, v policy.Verdict, elapsed, deadline time.Duration) string {
	s := fmt.Sprintf("waiting for %s: %s, ", waitsFor(f), phrase(f.Class))
	if v.Attempt > 0 {
		s += fmt.Sprintf("attempt %d, ", v.Attempt)
	}
	s += words.Duration(elapsed)
	if deadline > 0 {
		s += " of " + words.Duration(deadline)
	}
	return s
}
