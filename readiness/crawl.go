// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
)

// The bounds of a crawl: a listing is data from outside.
const (
	maxCrawlBytes       = 4 << 20
	maxCrawlEntries     = 4096
	maxCrawlDepth       = 12
	maxOptionalAttempts = 4
)

// crawl collects everything that is not required.
type crawl struct {
	config Config
	get    func(context.Context, string) ([]byte, error)
	step   func(longest time.Duration)
	debug  func(policy.Failure, policy.Verdict, error)
	refuse func(listing string, entries []string) // reports entries that are no names

	had     map[string][]byte // from the gate: not asked for again
	leaves  map[string][]byte
	missing map[string]policy.Class
	entries int
	bytes   atomic.Int64
}

// fetched is what one path came to.
type fetched struct {
	body  []byte
	class policy.Class // "": had; otherwise absent or missing
}

// classAbsent is a path that is not there: no key, no entry in missing.
const classAbsent policy.Class = "absent"

// run collects, each listing's entries in sorted order and behind what is
// waiting already: with one request at a time that is level by level, so that
// two crawls of one tree ask the same; with more, a path that is silent holds
// up nothing but itself.
func (c *crawl) run(ctx context.Context) {
	start := time.Now()
	queue := c.roots()
	busy := 0
	var mu sync.Mutex
	more := sync.NewCond(&mu)
	var all sync.WaitGroup
	for range c.config.Metadata.Concurrency {
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
				result := c.fetch(ctx, start, path)
				mu.Lock()
				busy--
				queue = append(queue, c.take(path, result)...)
				more.Broadcast()
			}
		})
	}
	all.Wait()
}

// roots are the paths that no listing leads to. What the gate had is taken in
// as if it had been asked for now.
func (c *crawl) roots() []string {
	roots := []string{}
	if c.descend("meta-data/") {
		roots = append(roots, "meta-data/")
	}
	if c.config.Metadata.Signatures {
		for _, name := range []string{"pkcs7", "rsa2048", "signature"} {
			roots = append(roots, "dynamic/instance-identity/"+name)
		}
	}
	if c.config.Metadata.UserData {
		roots = append(roots, "user-data")
	}
	for path, body := range c.had {
		if path == IdentityPath || strings.HasPrefix(path, "meta-data/") && !strings.HasSuffix(path, "/") {
			c.leaves[path] = body
		}
	}
	return roots
}

// fetch gets one path within what is left of time and space.
func (c *crawl) fetch(ctx context.Context, start time.Time, path string) fetched {
	if body, ok := c.had[path]; ok {
		return fetched{body: body}
	}
	p := c.config.Policy
	p.Deadline = c.config.Metadata.CollectDeadline
	if p.MaxAttempts == 0 || p.MaxAttempts > maxOptionalAttempts {
		p.MaxAttempts = maxOptionalAttempts
	}
	if p.Deadline == 0 { // a network that goes away now must not be waited for without end
		decide := c.config.Policy.Decide
		p.Classifier = func(f policy.Failure) (policy.Action, bool) {
			if action := decide(f); action != policy.Wait {
				return action, true
			}
			return policy.Retry, true
		}
	}
	if p.Expired(time.Since(start)) {
		return fetched{class: policy.PastDeadline}
	}
	if c.bytes.Load() >= maxCrawlBytes {
		return fetched{class: policy.TooLarge}
	}
	pursuit := pursuit{
		path: path, policy: p, start: start, get: c.get,
		before: c.step, failed: c.debug, had: func(int) {},
	}
	body, err := pursuit.run(ctx)
	if gaveUp, ok := errors.AsType[*GiveUpError](err); ok {
		if errors.Is(gaveUp.Last, imds.ErrNotBegun) {
			return fetched{class: policy.PastDeadline}
		}
		return fetched{class: gaveUp.Class}
	}
	if err != nil {
		return fetched{class: classAbsent} // or interrupted: then nothing is published
	}
	if c.bytes.Add(int64(len(body))) > maxCrawlBytes {
		return fetched{class: policy.TooLarge}
	}
	return fetched{body: body}
}

// take files one result away and returns the paths that it leads to.
func (c *crawl) take(path string, f fetched) []string {
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
	if path != "meta-data/" {
		c.leaves[path] = nil // a directory, were it empty
	}
	entries, refused := imds.ParseListing(f.body)
	if path == publicKeys {
		entries, refused = c.takeKeys(entries, refused)
	}
	if len(refused) > 0 {
		c.missing[path] = policy.BadResponse
		c.refuse(path, refused)
	}
	var next []string
	children := c.children(path, entries)
	slices.Sort(children)
	for _, child := range children {
		if _, ok := c.leaves[child]; ok {
			continue // required, and had
		}
		// Names count as well: long ones, one below the other, are more bytes than
		// were received.
		if c.entries == maxCrawlEntries || strings.Count(child, "/") > maxCrawlDepth ||
			c.bytes.Add(int64(len(child))) > maxCrawlBytes {
			c.missing[path] = policy.TooLarge
			break
		}
		c.entries++
		next = append(next, child)
	}
	return next
}

// children are the paths that a listing's entries lead to, as far as the
// configuration wants them.
func (c *crawl) children(dir string, entries []string) []string {
	var paths []string
	for _, e := range entries {
		if slices.Contains(entries, e+"/") {
			continue // both x and x/: the directory
		}
		path := dir + e
		if isCredentials(path) {
			continue
		}
		if strings.HasSuffix(path, "/") && c.descend(path) || !strings.HasSuffix(path, "/") && c.wanted(path) {
			paths = append(paths, path)
		}
	}
	return paths
}
