// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// The bounds of a collection, because listings are untrusted.
const (
	maxBytes   = 4 << 20
	maxEntries = 4096
	maxDepth   = 12
)

// How long an optional path is retried after its first failure, and after the first
// 404 if its parent lists it. An interface is listed before its leaves answer, but a
// path that never answers must not delay every boot.
const (
	patience    = 5 * time.Second
	patience404 = time.Second
)

// Metadata is the [metadata] table of the configuration.
type Metadata struct {
	// Include and Exclude are doublestar globs over paths below the version.
	Include, Exclude []string
	// CollectDeadline bounds the collection, from its own start. If zero, there is no
	// limit.
	CollectDeadline time.Duration
	// UserData and Signatures are true if the secret files of these names are
	// collected.
	UserData, Signatures bool
	// Concurrency is how many requests are under way at once, 1 to 16. If zero, it
	// is 1.
	Concurrency int
	// RequestsPerSecond is how many requests begin in any one second, 1 to 280.
	RequestsPerSecond int
}

// Collector is the input of a collection. The functions may be nil, except
// Fetch.
type Collector struct {
	Metadata Metadata
	// Policy is that of [retry].
	Policy policy.Policy
	// Fetch makes one attempt at a path. It checks a required path as the gate does.
	Fetch func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error)
	// Fetched has the bodies of the required paths. Except for the identity document
	// and the roles, they are requested once more, so that requiring a path never makes
	// it older than the others. If that fails, the body in Fetched is used.
	Fetched map[string][]byte
	// Step is called before each step with the longest time that it can take.
	Step func(longest time.Duration)
	// Failed is called after each failed attempt with the number of paths that are
	// left, including this one.
	Failed func(f policy.Failure, v policy.Verdict, err error, left int)
	// Refused is called with the entries of a listing that cannot be names.
	Refused func(listing string, entries []string)
}

// Result is the result of a collection.
type Result struct {
	// Leaves has the bodies by path. A directory that was listed has an entry with a
	// final "/".
	Leaves map[string][]byte
	// Missing has the class of every path that could not be fetched.
	Missing map[string]policy.Class
}

// item is a path to fetch.
type item struct {
	path   string
	listed bool // its parent's listing names it
}

// collection is the state of one collection.
type collection struct {
	Collector
	start  time.Time
	places *places

	mu      sync.Mutex
	changed *sync.Cond // queue or active has changed
	queue   []item     // first attempts, in order
	active  int        // paths under way, including those in a pause
	leaves  map[string][]byte
	missing map[string]policy.Class
	entries int
	bytes   int
}

// outcome is the result of one path: a body or a class.
type outcome struct {
	body  []byte
	class policy.Class
}

// classAbsent is a path that does not exist. It has neither a key nor an entry in
// missing.
const classAbsent policy.Class = "absent"

// Run collects. The entries of each listing are sorted and appended to the queue. With
// one request at a time the order is level by level, so that two collections of one
// tree make the same requests. A path in a pause holds no place, and first attempts
// come before retries, so that a path that fails delays only itself. If the context
// ends, the result is incomplete.
func (c Collector) Run(ctx context.Context) Result {
	r := &collection{
		Collector: c, start: time.Now(), places: newPlaces(max(1, c.Metadata.Concurrency)),
		leaves: map[string][]byte{}, missing: map[string]policy.Class{},
	}
	r.changed = sync.NewCond(&r.mu)
	if r.Step == nil {
		r.Step = func(time.Duration) {}
	}
	until := ctx
	if d := c.Metadata.CollectDeadline; d > 0 {
		var cancel context.CancelFunc
		until, cancel = context.WithDeadline(ctx, r.start.Add(d))
		defer cancel()
	}
	r.queue = r.roots()
	var all sync.WaitGroup
	idle := make(chan item) // a new goroutine for each path would grow its stack each time
	for {
		it, ok := r.next()
		if !ok {
			break
		}
		if err := r.places.acquire(until, first); err != nil {
			r.finish(it, outcome{class: policy.PastDeadline})
			continue
		}
		select {
		case idle <- it:
		default:
			all.Go(func() {
				for more := true; more; it, more = <-idle {
					r.work(ctx, it)
				}
			})
		}
	}
	close(idle)
	all.Wait()
	return Result{Leaves: r.leaves, Missing: r.missing}
}

// next removes the first path from the queue. It returns false if no path remains.
func (c *collection) next() (item, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 {
		if c.active == 0 {
			return item{}, false
		}
		c.changed.Wait()
	}
	it := c.queue[0]
	c.queue = c.queue[1:]
	c.active++
	return it, true
}

// finish records the outcome of a path and queues the paths that it leads to.
func (c *collection) finish(it item, o outcome) {
	c.Step(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, c.record(it.path, o)...)
	c.active--
	c.changed.Broadcast()
}

// left returns how many paths are queued or under way.
func (c *collection) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) + c.active
}

// roots returns the paths that no listing leads to.
func (c *collection) roots() []item {
	var roots []item
	if c.descend(paths.MetaData) {
		roots = append(roots, item{path: paths.MetaData, listed: true}) // it always exists
	}
	if c.Metadata.Signatures {
		for _, path := range paths.Signatures() {
			roots = append(roots, item{path: path})
		}
	}
	if c.Metadata.UserData {
		roots = append(roots, item{path: paths.UserData})
	}
	if body, ok := c.Fetched[paths.Identity]; ok {
		c.leaves[paths.Identity] = body
	}
	var again []string
	for path := range c.Fetched {
		if c.again(path) && !slices.Contains(roots, item{path: path}) && path != paths.MetaData {
			again = append(again, path)
		}
	}
	slices.Sort(again)
	for _, path := range again {
		roots = append(roots, item{path: path})
	}
	return roots
}

// again reports whether a required path is requested once more.
func (c *collection) again(path string) bool {
	_, fetched := c.Fetched[path]
	return fetched && strings.HasPrefix(path, paths.MetaData) && !paths.IsCredentials(path)
}

// work gets one path and records the outcome. It begins with a place. After a success, it
// releases the place only when the paths that this one leads to are queued: with one place,
// the order of the requests does not depend on the speed of the goroutines.
func (c *collection) work(ctx context.Context, it item) {
	holds := true
	c.finish(it, c.get(ctx, it, &holds))
	if holds {
		c.places.release()
	}
}

// get gets one path within the remaining time and size. holds says whether it has a place.
func (c *collection) get(ctx context.Context, it item, holds *bool) outcome {
	c.mu.Lock()
	full := c.bytes >= maxBytes
	c.mu.Unlock()
	if full {
		return outcome{class: policy.TooLarge}
	}
	p := c.Policy
	p.Deadline = c.Metadata.CollectDeadline
	fetched, required := c.Fetched[it.path]
	if required {
		p.MaxAttempts = 1
	}
	getter := retry.Getter{
		Policy: p, Optional: true, Listed: it.listed, Start: c.start, Step: c.Step, GiveUpAt: giveUpAt(it),
		Fetch: func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
			if !*holds {
				if err := c.places.acquire(ctx, retried); err != nil {
					return nil, &imds.Error{Op: "GET", Path: path, Err: fmt.Errorf("%w: %w", imds.ErrNotBegun, err)}
				}
				*holds = true
			}
			body, err := c.Fetch(ctx, t, path)
			if err == nil {
				err = checkListing(it, body)
			}
			if err != nil {
				c.places.release()
				*holds = false
				return nil, err
			}
			return body, nil
		},
		Failed: func(f policy.Failure, v policy.Verdict, err error) {
			if c.Failed != nil {
				c.Failed(f, v, err, c.left())
			}
		},
	}
	body, err := getter.Get(ctx, it.path)
	gaveUp, isGiveUp := errors.AsType[*retry.GiveUpError](err)
	switch {
	case err == nil:
		return outcome{body: body}
	case required:
		return outcome{body: fetched}
	case isGiveUp && errors.Is(gaveUp.Last, imds.ErrNotBegun):
		return outcome{class: policy.PastDeadline}
	case isGiveUp:
		return outcome{class: gaveUp.Class}
	default: // absent, or the caller's context ended, and nothing will be published
		return outcome{class: classAbsent}
	}
}

// giveUpAt returns the GiveUpAt of a [retry.Getter] for a path.
func giveUpAt(it item) func(policy.Failure) time.Time {
	var failed, notFound time.Time
	return func(f policy.Failure) time.Time {
		now := time.Now()
		if failed.IsZero() {
			failed = now
		}
		at := failed.Add(patience)
		if f.Class == "404" && !neverAbsent(it.path) {
			if notFound.IsZero() {
				notFound = now
			}
			at = earlier(at, notFound.Add(patience404))
		}
		return at
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// neverAbsent reports whether every instance has a directory. A 404 or an empty listing
// of it is a failure like any other.
func neverAbsent(path string) bool { return path == paths.MetaData || path == paths.Macs }

// checkListing returns an error for a listing that is empty but must not be, or has no
// valid entry.
func checkListing(it item, body []byte) error {
	if !strings.HasSuffix(it.path, "/") {
		return nil
	}
	if len(body) == 0 && neverAbsent(it.path) {
		return fmt.Errorf("GET %s: %w", it.path, retry.ErrEmpty)
	}
	if entries, refused := parseListing(it.path, body); len(entries) == 0 && len(refused) > 0 {
		return fmt.Errorf("GET %s: %w: no entry is a name", it.path, retry.ErrContent)
	}
	return nil
}

// record stores the outcome of one path and returns the paths that it leads to.
// c.mu is held.
func (c *collection) record(path string, o outcome) []item {
	c.bytes += len(o.body)
	switch {
	case o.class == classAbsent:
		return nil
	case o.class == "" && c.bytes > maxBytes:
		c.missing[path] = policy.TooLarge
		return nil
	case o.class != "":
		c.missing[path] = o.class
		return nil
	case !strings.HasSuffix(path, "/"):
		c.leaves[path] = o.body
		return nil
	}
	if path != paths.MetaData {
		c.leaves[path] = nil // a directory, even if it is empty
	}
	entries, refused := parseListing(path, o.body)
	if len(refused) > 0 {
		c.missing[path] = policy.BadResponse
		if c.Refused != nil {
			c.Refused(path, refused)
		}
	}
	if path == paths.PublicKeys {
		entries = c.keyNames(entries)
	}
	return c.children(path, entries)
}

// children returns the paths that the entries of a listing lead to, in sorted order, as
// far as the configuration includes them and the bounds allow. Entries are counted
// before they are filtered, and names count as bytes, because nested long names add up
// to more than was received.
func (c *collection) children(dir string, entries []string) []item {
	slices.Sort(entries)
	isDirectory := make(map[string]bool, len(entries))
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e, "/"); ok {
			isDirectory[name] = true
		}
	}
	var found []item
	for _, e := range entries {
		path := dir + e
		c.entries++
		c.bytes += len(path)
		if c.entries > maxEntries || c.bytes > maxBytes || strings.Count(path, "/") > maxDepth {
			c.missing[dir] = policy.TooLarge
			break
		}
		isDir := strings.HasSuffix(path, "/")
		switch {
		case isDirectory[e], paths.IsCredentials(path), c.again(path):
			// skipped: a leaf that is also listed as a directory, a credential, or a path
			// that is queued already
		case isDir && c.descend(path), !isDir && c.wanted(path):
			found = append(found, item{path: path, listed: true})
		}
	}
	return found
}
