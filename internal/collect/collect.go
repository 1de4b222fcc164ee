// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// The bounds of a collection: a listing is data from outside.
const (
	maxBytes            = 4 << 20
	maxEntries          = 4096
	maxDepth            = 12
	maxOptionalAttempts = 4
)

// Metadata is the [metadata] table of the configuration.
type Metadata struct {
	// Include and Exclude are doublestar globs over paths below the version.
	Include, Exclude []string
	// CollectDeadline bounds the collection of everything that is not required,
	// from its own start. If zero, there is no limit.
	CollectDeadline time.Duration
	// UserData and Signatures request the secret files of these names.
	UserData, Signatures bool
	// Concurrency is how many requests are under way at once, 1 to 16.
	Concurrency int
	// RequestsPerSecond is how many requests begin in any one second, 1 to 200.
	RequestsPerSecond int
}

// Collector collects everything that is not required. It is a literal; the
// functions may be nil where marked so.
type Collector struct {
	Metadata Metadata
	// Policy is that of [retry].
	Policy policy.Policy
	// Fetch makes one attempt at a path.
	Fetch func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error)
	// Fetched has the bodies of required paths. They are not requested again.
	Fetched map[string][]byte
	// Step, if not nil, is called before each step with the longest time that it
	// can take.
	Step func(longest time.Duration)
	// Failed, if not nil, is called after each failed attempt.
	Failed func(policy.Failure, policy.Verdict, error)
	// Refused, if not nil, is called with the entries of a listing that are not
	// names.
	Refused func(listing string, entries []string)
}

// Result is what a collection came to.
type Result struct {
	// Leaves are the bodies by path. A directory that was listed has an entry with
	// a final "/".
	Leaves map[string][]byte
	// Missing has the class of every path that could not be fetched.
	Missing map[string]policy.Class
}

// collection is one collection under way.
type collection struct {
	Collector
	start   time.Time
	leaves  map[string][]byte
	missing map[string]policy.Class
	entries int
	bytes   atomic.Int64
}

// outcome is how one path ended: a body, or a class.
type outcome struct {
	body  []byte
	class policy.Class
}

// classAbsent is a path that is not there: no key, no entry in missing.
const classAbsent policy.Class = "absent"

// Run collects. Each listing's entries follow in sorted order behind what is
// queued already: with one request at a time that is level by level, so that two
// collections of one tree make the same requests; with more, a silent path delays
// nothing but itself. If the context ends, the result is incomplete.
func (c Collector) Run(ctx context.Context) Result {
	r := &collection{Collector: c, start: time.Now(), leaves: map[string][]byte{}, missing: map[string]policy.Class{}}
	queue := r.roots()
	busy := 0
	var mu sync.Mutex
	more := sync.NewCond(&mu)
	var all sync.WaitGroup
	for range max(1, c.Metadata.Concurrency) {
		all.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for {
				for len(queue) == 0 && busy > 0 {
					more.Wait()
				}
				if len(queue) == 0 {
					return
				}
				path := queue[0]
				queue = queue[1:]
				busy++
				mu.Unlock()
				result := r.get(ctx, path)
				mu.Lock()
				busy--
				queue = append(queue, r.record(path, result)...)
				more.Broadcast()
			}
		})
	}
	all.Wait()
	return Result{Leaves: r.leaves, Missing: r.missing}
}

// roots are the paths that no listing leads to. What the gate fetched is recorded
// as if it had been requested now.
func (c *collection) roots() []string {
	var roots []string
	if c.descend(paths.MetaData) {
		roots = append(roots, paths.MetaData)
	}
	if c.Metadata.Signatures {
		for _, name := range []string{"pkcs7", "rsa2048", "signature"} {
			roots = append(roots, strings.TrimSuffix(paths.Identity, "document")+name)
		}
	}
	if c.Metadata.UserData {
		roots = append(roots, paths.UserData)
	}
	for path, body := range c.Fetched {
		if path == paths.Identity || strings.HasPrefix(path, paths.MetaData) && !strings.HasSuffix(path, "/") {
			c.leaves[path] = body
		}
	}
	return roots
}

// get gets one path within what is left of time and space.
func (c *collection) get(ctx context.Context, path string) outcome {
	if body, ok := c.Fetched[path]; ok {
		return outcome{body: body}
	}
	p := c.Policy
	p.Deadline = c.Metadata.CollectDeadline
	if p.MaxAttempts == 0 || p.MaxAttempts > maxOptionalAttempts {
		p.MaxAttempts = maxOptionalAttempts
	}
	if p.Deadline == 0 { // a network that goes away now must not be waited for without end
		p.Classifier = func(f policy.Failure) (policy.Action, bool) {
			if action := c.Policy.Decide(f); action != policy.Wait {
				return action, true
			}
			return policy.Retry, true
		}
	}
	if p.Expired(time.Since(c.start)) {
		return outcome{class: policy.PastDeadline}
	}
	if c.bytes.Load() >= maxBytes {
		return outcome{class: policy.TooLarge}
	}
	getter := retry.Getter{
		Policy: p, Optional: true, Start: c.start, Fetch: c.Fetch, Step: c.Step, Failed: c.Failed,
	}
	body, err := getter.Get(ctx, path)
	if gaveUp, ok := errors.AsType[*retry.GiveUpError](err); ok {
		if errors.Is(gaveUp.Last, imds.ErrNotBegun) {
			return outcome{class: policy.PastDeadline}
		}
		return outcome{class: gaveUp.Class}
	}
	if err != nil {
		return outcome{class: classAbsent} // or the context ended: then nothing is published
	}
	if c.bytes.Add(int64(len(body))) > maxBytes {
		return outcome{class: policy.TooLarge}
	}
	return outcome{body: body}
}

// record keeps the outcome of one path and returns the paths that it leads to.
func (c *collection) record(path string, f outcome) []string {
	switch {
	case f.class == classAbsent:
		return nil
	case f.class != "":
		c.missing[path] = f.class
		return nil
	case !strings.HasSuffix(path, "/"):
		c.leaves[path] = f.body
		return nil
	}
	if path != paths.MetaData {
		c.leaves[path] = nil // a directory, were it empty
	}
	entries, refused := imds.ParseListing(f.body)
	if path == paths.PublicKeys {
		entries, refused = c.takeKeys(entries, refused)
	}
	if len(refused) > 0 {
		c.missing[path] = policy.BadResponse
		if c.Refused != nil {
			c.Refused(path, refused)
		}
	}
	var next []string
	children := c.children(path, entries)
	slices.Sort(children)
	for _, child := range children {
		if _, ok := c.leaves[child]; ok {
			continue // required, and fetched
		}
		// Names count as well: long ones, one below the other, are more bytes than
		// were received.
		if c.entries == maxEntries || strings.Count(child, "/") > maxDepth ||
			c.bytes.Add(int64(len(child))) > maxBytes {
			c.missing[path] = policy.TooLarge
			break
		}
		c.entries++
		next = append(next, child)
	}
	return next
}

// children are the paths that a listing's entries lead to and that the
// configuration includes.
func (c *collection) children(dir string, entries []string) []string {
	var found []string
	for _, e := range entries {
		if slices.Contains(entries, e+"/") {
			continue // both x and x/: the directory
		}
		path := dir + e
		if paths.IsCredentials(path) {
			continue
		}
		if strings.HasSuffix(path, "/") && c.descend(path) || !strings.HasSuffix(path, "/") && c.wanted(path) {
			found = append(found, path)
		}
	}
	return found
}
