// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/snapshot"
)

const (
	// heartbeat is how often the loop wakes at the latest, also while it pauses or waits
	// for an answer: it feeds systemd's watchdog and looks at the clock.
	heartbeat = 10 * time.Second
	// saveEvery is how often status.json is rewritten at the latest.
	saveEvery = 60 * time.Second
	// silence is how long requests must have failed before that is a warning.
	silence = 60 * time.Second
	// maxFailing is the longest interval while a request has failed.
	maxFailing = 10 * time.Second
	// longestRound is when the loop stops to feed the watchdog: a round cannot take that
	// long, because every request is cut.
	longestRound = 3 * time.Minute
	// newsEvery is the shortest time between two rounds if IMDS answers: some machines
	// have news of the network all the time, from their containers.
	newsEvery = time.Second
	// newsPerPath is the same for each path while IMDS gives no answer. With 32 paths or
	// with one, there are at most about 150 requests per second.
	newsPerPath = 6500 * time.Microsecond
)

// Watcher keeps the files of some paths up to date. Notify, News and Textfile may be
// empty; everything else is required.
type Watcher struct {
	// Paths are the paths, below the version, each once.
	Paths []string
	// Interval is the longest time between the starts of two rounds of requests. Each
	// is shorter by up to 10 %, at random. While requests fail, it is at most 10 s.
	Interval time.Duration
	// Client makes the requests, within Timeouts. A request takes at most 10 s.
	Client   *imds.Client
	Timeouts imds.Timeouts
	// Dir is the directory of the files, such as /run/imds.
	Dir string
	// BootID identifies this boot; see [snapshot.BootID].
	BootID string
	// Version is this program's.
	Version string
	// Log receives the log.
	Log *slog.Logger
	// Notify sends a datagram of sd_notify(3). If nil, notifications are dropped.
	Notify func(state string) error
	// News returns a channel with news of the network, until its context ends. If nil,
	// there is no news.
	News func(context.Context) (<-chan struct{}, error)
	// Textfile is the file of the metrics. If empty, there are none.
	Textfile string
}

// run is one Watcher at work. One goroutine uses it.
type run struct {
	*Watcher
	dir      *directory
	states   map[string]*state
	started  time.Time
	savedAt  time.Time
	dirty    bool // status.json differs from the states
	unsaved  bool // the last attempt to write status.json failed
	warned   map[trouble]extent
	warnedOf bool // of metrics that could not be written
	answers  <-chan answer
	begun    time.Time // the start of the current round, or of the last
	reopened time.Time // when the directory was last opened again; zero: never
	status   string    // the last STATUS= that was sent; the first one went with READY=1
}

// ErrNotify means that systemd could not be told that the first round is over.
var ErrNotify = errors.New("notifying systemd")

// Run watches until the context ends, and returns its cause. Any other error is one of
// the directory, or [ErrNotify]; [ErrLocked] means that another process
// watches in the directory. Nothing is written before the owner of the directory has been
// compared with the user of the process.
func (w *Watcher) Run(ctx context.Context) error {
	dir, err := openDirectory(w.Dir, w.BootID, w.Paths)
	if err != nil {
		return fmt.Errorf("using the directory: %w", err)
	}
	r := &run{Watcher: w, dir: dir, states: map[string]*state{}, warned: map[trouble]extent{}, started: time.Now(), dirty: true}
	defer r.end()
	for _, path := range w.Paths {
		r.states[path] = r.dir.state(path)
	}
	if err := r.save(); err != nil {
		return err
	}
	w.Log.Info("watching "+words.Plural(len(w.Paths), "path")+" every "+words.Duration(w.Interval), "endpoint", strings.Join(w.Client.Endpoints, " "))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return r.loop(ctx, r.listen(ctx))
}

// end removes what would be wrong once nothing watches.
func (r *run) end() {
	_, _ = r.dir.remove(snapshot.StatusFile) // nothing can be done about it
	if r.Textfile != "" {
		_ = os.Remove(r.metricsFile())
	}
	_ = r.dir.close()
}

// listen returns the news of the network, or nil if there is none.
func (r *run) listen(ctx context.Context) <-chan struct{} {
	if r.News == nil {
		return nil
	}
	news, err := r.News(ctx)
	if err != nil { // in a container or a sandbox; pauses end by themselves
		r.Log.Debug("watching the network", "err", err)
		return nil
	}
	return news
}

// loop makes rounds until the context ends. It wakes for an answer, for the next round, for
// news, and for the heartbeat.
func (r *run) loop(ctx context.Context, news <-chan struct{}) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	due := time.Now()
	next := time.NewTimer(0)
	defer next.Stop()
	schedule := func(at time.Time) {
		due = at
		next.Reset(time.Until(due))
	}
	pending := 0
	for {
		wake := news
		if pending > 0 {
			wake = nil // it stays in the channel until the round is over
		}
		select {
		case <-ctx.Done():
			r.discard(pending)
			return context.Cause(ctx)
		case <-next.C:
			if err := r.followPath(); err != nil {
				return err
			}
			forget(news) // what is older than the round has no consequence
			r.begun, r.answers, pending = time.Now(), r.ask(ctx), len(r.Paths)
		case a := <-r.answers:
			pending--
			if ctx.Err() != nil {
				continue // the request was cut
			}
			r.apply(a)
			if pending > 0 {
				break
			}
			schedule(r.begun.Add(r.pause()))
			if err := r.roundOver(); err != nil {
				return err
			}
		case _, ok := <-wake:
			if !ok {
				news = nil
				break
			}
			if sooner := r.begun.Add(r.newsGap()); sooner.Before(due) {
				schedule(sooner)
			}
		case <-beat.C:
			if err := r.beat(pending > 0); err != nil {
				return err
			}
			if pending == 0 && r.reopened.After(r.begun) {
				schedule(time.Now()) // answers of the last round went with the directory
			}
		}
		r.saveIfDue()
	}
}

// discard waits for requests that were cut.
func (r *run) discard(pending int) {
	for range pending {
		<-r.answers
	}
}

// saveIfDue writes the status if it has changed, except among answers that come together,
// and before its readers would call it old.
func (r *run) saveIfDue() {
	if r.dirty && len(r.answers) == 0 || time.Since(r.savedAt) > saveEvery-heartbeat {
		r.resave()
	}
}

// forget drops the news that is in the channel.
func forget(news <-chan struct{}) {
	select {
	case <-news:
	default:
	}
}

// beat feeds the watchdog, unless a round takes longer than it can.
func (r *run) beat(inRound bool) error {
	r.judge(silent, false)
	r.judge(unwritable, false)
	if err := r.followPath(); err != nil {
		return err
	}
	if time.Since(r.begun) < longestRound || !inRound {
		r.notify("WATCHDOG=1")
	}
	return nil
}

// followPath opens the directory again, as at the start, if it was removed, moved or
// mounted over. The next answers write the files. An error ends the process, and systemd
// starts it again: if the directory above is missing, only systemd can create it.
func (r *run) followPath() error {
	why := r.dir.inPlace()
	if why == nil {
		return nil
	}
	dir, err := openDirectory(r.Dir, r.BootID, r.Paths)
	if err != nil {
		return fmt.Errorf("using the directory: %w, and cannot be opened again: %w", why, err)
	}
	_ = r.dir.close() // its files are out of reach
	r.dir, r.reopened, r.dirty = dir, time.Now(), true
	for path, s := range r.states {
		now := dir.state(path)
		s.lost = (s.lost || s.present) && !now.present
		s.present = now.present
	}
	r.Log.Warn("writing all files again, because " + why.Error())
	return nil
}

// roundOver judges a round, and tells systemd when the first one is over, and what has
// changed since.
func (r *run) roundOver() error {
	r.judge(silent, true)
	r.judge(unwritable, true)
	status := "STATUS=" + r.statusText()
	if r.Notify == nil || status == r.status {
		return nil
	}
	if r.status == "" {
		if err := r.Notify("READY=1\n" + status); err != nil {
			return fmt.Errorf("%w: %w", ErrNotify, err)
		}
		r.status = status
	} else if r.notify(status) {
		r.status = status
	}
	return nil
}

// resave writes status.json. One that cannot be written now is tried again; the first
// failure in a row is a warning.
func (r *run) resave() {
	err := r.save()
	if err != nil && !r.unsaved {
		r.Log.Warn("writing the status", "err", err, "hint", hints.Unwritable(r.dir.path))
	}
	r.unsaved = err != nil
}

// pause returns the time from the start of the last round to that of the next.
func (r *run) pause() time.Duration {
	d := r.Interval
	if len(r.failing(silent))+len(r.failing(unwritable)) > 0 {
		d = min(d, maxFailing)
	}
	return d - rand.N(d/10+1)
}

// newsGap returns the shortest time from the start of the last round to one that news
// brings forward.
func (r *run) newsGap() time.Duration {
	for _, path := range r.failing(silent) {
		if !r.states[path].class.Answered() {
			return time.Duration(len(r.Paths)) * newsPerPath
		}
	}
	return newsEvery
}

// notify sends a notification that nothing depends on, and reports whether it was sent.
func (r *run) notify(state string) bool {
	if r.Notify == nil {
		return false
	}
	err := r.Notify(state)
	if err != nil {
		r.Log.Debug("notifying systemd", "err", err)
	}
	return err == nil
}

// metricsFile is the file of the metrics, beside that of the gate.
func (r *run) metricsFile() string {
	return filepath.Join(filepath.Dir(r.Textfile), "imds_ready_watch.prom")
}
