// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/snapshot"
)

// How often the outside is told of a wait that goes on.
const (
	statusEvery = time.Second      // STATUS= and status.json
	logEvery    = 10 * time.Second // a line at info for one class on one path
	stepSlack   = 30 * time.Second // EXTEND_TIMEOUT_USEC beyond the longest step
)

// progress tells the outside how the wait goes: status.json, STATUS= and the
// log. Its methods may be called by several goroutines.
type progress struct {
	log      *slog.Logger
	notify   func(state string) error
	write    func(st snapshot.Status, final bool) error
	requests func() int
	endpoint func() string
	start    time.Time
	metrics  textfile

	mu       sync.Mutex
	status   snapshot.Status
	streaks  map[string]*streak // by path
	answers  int                // failed attempts at required paths that got an answer
	foreign  int                // those of them that cannot come from IMDS
	iface    string             // endpoint.interface
	tolerant bool               // on_disabled = "continue"
	said     time.Time          // the last STATUS=
	saidOf   policy.Class       // what it said
	wrote    time.Time          // the last status.json
	promised time.Time          // to systemd, in the crawl
	warned   time.Time
	timer    *time.Timer // a status.json that is due
	final    bool
}

// streak is a run of failures of one class on one path.
type streak struct {
	class  policy.Class
	since  time.Time
	count  int
	hint   string
	hinted time.Time
	last   *snapshot.LastError
	logged map[policy.Class]time.Time
}

// begin writes the first status.json and metrics and says the first STATUS=.
func (p *progress) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell("STATUS=waiting for IMDS")
	err := p.save()
	p.metrics.write(p.status)
	return err
}

// had counts the attempt that a required path was had with.
func (p *progress) had(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Attempts++
	p.status.Required[path] = snapshot.Requirement{OK: true}
	p.changed()
	p.log.Debug("had", "path", path, "elapsed", time.Since(p.start))
}

// failed counts a failed attempt at a required path and says so where that is
// news.
func (p *progress) failed(pol policy.Policy, f policy.Failure, v policy.Verdict, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if v.Action != policy.Wait {
		p.status.Attempts++
	}
	p.status.Errors[string(f.Class)]++
	if f.Class.Answered() {
		p.answers++
		if f.Class == policy.BadResponse || f.Class == policy.TooLarge {
			p.foreign++
		}
	}
	class := string(f.Class)
	p.status.Required[f.Path] = snapshot.Requirement{Class: &class}
	s := p.count(f, now)
	if s.hint == "" || now.Sub(s.hinted) >= statusEvery { // some look at the machine
		s.hint, s.hinted = p.hint(f, now.Sub(s.since), s.count), now
	}
	s.last = &snapshot.LastError{At: now, Class: class, Hint: s.hint, Message: shorten(err.Error(), maxStatus), Path: f.Path}
	p.status.LastError = s.last
	p.logFailure(s, f, v, err)
	if s.count == 1 && f.Class != p.saidOf || now.Sub(p.said) >= statusEvery {
		p.said, p.saidOf = now, f.Class
		p.tell("STATUS=" + waiting(f, v, now.Sub(p.start), pol.Deadline))
	}
	p.changed()
}

// logFailure logs a failure that is s.last: each at debug, and at info what is news. A
// class that comes back is, but no more than once a second. p.mu is held.
func (p *progress) logFailure(s *streak, f policy.Failure, v policy.Verdict, err error) {
	quiet := logEvery
	if s.count == 1 {
		quiet = statusEvery
	}
	news := v.Stop == nil && s.last.At.Sub(s.logged[f.Class]) >= quiet
	if !news && !p.log.Enabled(context.Background(), slog.LevelDebug) {
		return // as most of the time: nobody reads the attributes
	}
	attrs := []any{
		"attempt", v.Attempt, "class", s.last.Class, "path", f.Path,
		"retry_in", v.Pause, "elapsed", s.last.At.Sub(p.start), "err", s.last.Message,
	}
	if e, ok := errors.AsType[*imds.Error](err); ok && e.Endpoint != "" {
		attrs = append(attrs, "endpoint", moreAlive(e).Endpoint)
	}
	p.log.Debug("attempt failed", attrs...)
	if news {
		s.logged[f.Class] = s.last.At
		p.log.Info("waiting for "+waitsFor(f)+": "+phrase(f.Class), attrs...)
	}
}

// count notes the class of a path's failure.
func (p *progress) count(f policy.Failure, now time.Time) *streak {
	s := p.streaks[f.Path]
	if s == nil {
		s = &streak{logged: map[policy.Class]time.Time{}}
		p.streaks[f.Path] = s
	}
	if s.class != f.Class {
		s.class, s.since, s.count, s.hint = f.Class, now, 0, ""
	}
	s.count++
	return s
}

// changed writes status.json at once, or, where that was less than a second ago,
// with the next change after the second is over: the loop is awake then anyway.
// Should none come, it is written a second after this one. p.mu is held.
func (p *progress) changed() {
	switch {
	case p.final:
	case time.Since(p.wrote) >= statusEvery:
		p.saveOrWarn()
	case p.timer == nil:
		var due *time.Timer
		due = time.AfterFunc(statusEvery, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.timer == due { // else it has been written since
				p.saveOrWarn()
			}
		})
		p.timer = due
	}
}

// saveOrWarn is save during the wait: a status that cannot be written now does
// not end it. It is tried again in a second; at the latest the final one will tell.
func (p *progress) saveOrWarn() {
	if p.final {
		return
	}
	err := p.save()
	if err == nil {
		return
	}
	if time.Since(p.warned) >= logEvery {
		p.warned = time.Now()
		p.log.Warn("writing the status", "err", err)
	}
	p.changed()
}

// save brings the status up to date and writes it. p.mu is held.
func (p *progress) save() error {
	now := time.Now()
	p.wrote = now
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.status.UpdatedAt = &now
	p.status.Elapsed = snapshot.Seconds(now.Sub(p.start))
	p.status.Requests = p.requests()
	if e := p.endpoint(); e != "" {
		p.status.Endpoint = &e
	}
	return p.write(p.status, p.final)
}

// finish writes the final status.json and metrics, as change makes them.
func (p *progress) finish(change func(*snapshot.Status)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.final = true
	change(&p.status)
	p.status.PID = nil
	err := p.save()
	p.metrics.write(p.status) // even so: they may be elsewhere
	return err
}

// onlyForeign reports whether every answer to a failed attempt at a required
// path was one that IMDS does not give, and there was one.
func (p *progress) onlyForeign() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers > 0 && p.answers == p.foreign
}

// attempts is how many attempts the required paths took.
func (p *progress) attempts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.Attempts
}

// blame makes the last failure of a path the last one of all: the path has ended
// the gate, and others may have failed since.
func (p *progress) blame(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.streaks[path]; s != nil {
		p.status.LastError = s.last
	}
}

// lastError is the last failure; nil: none.
func (p *progress) lastError() *snapshot.LastError {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.LastError
}
