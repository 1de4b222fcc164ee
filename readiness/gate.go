// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// gate waits for the required paths.
type gate struct {
	config   Config
	client   *imds.Client
	progress *progress
	wake     func() <-chan struct{} // as of retry.Getter

	mu      sync.Mutex
	fetched map[string][]byte // bodies by path
}

// pass waits for the identity document alone, then for the other required paths
// together. The first that is given up ends it, with a [*retry.GiveUpError]; a
// signal ends it with the cause of ctx.
func (g *gate) pass(ctx context.Context) error {
	if err := g.fetch(ctx, g.config.Require[0], nil); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var all sync.WaitGroup
	places := make(chan struct{}, g.config.Metadata.Concurrency)
	for _, r := range g.config.Require[1:] {
		all.Go(func() {
			if err := g.fetch(ctx, r, places); err != nil {
				end(err) // the first cause stays
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// fetch waits for one required path. Only its attempts take one of the places,
// if there are any, and not its pauses: a late path delays no other.
func (g *gate) fetch(ctx context.Context, r Require, places chan struct{}) error {
	p := g.config.Policy
	p.MaxAttempts, p.Deadline = r.MaxAttempts, r.Deadline
	getter := retry.Getter{
		Policy: p, Start: g.progress.start, Wake: g.wake, Step: g.progress.step,
		Fetch: func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
			if places != nil {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
				case <-ctx.Done(): // like a connection that was cut
					return nil, &imds.Error{Op: http.MethodGet, Path: path, Err: context.Cause(ctx)}
				}
				g.progress.step(retry.LongestAttempt(p)) // the wait for a place may have been long
			}
			return g.check(ctx, t, path)
		},
		Failed: func(f policy.Failure, v policy.Verdict, err error) { g.progress.failed(p.Deadline, f, v, err) },
	}
	body, err := getter.Get(ctx, r.Path)
	if err != nil {
		return err
	}
	g.progress.fetched(r.Path)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fetched[r.Path] = body
	return nil
}

// fetchAgain makes an attempt of the collection: with the gate's checks, if the
// path is required.
func (g *gate) fetchAgain(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
	if _, required := g.fetched[path]; required {
		body, err := g.check(ctx, t, path)
		if err == nil && len(body) == 0 {
			err = fmt.Errorf("GET %s: %w", path, retry.ErrEmpty)
		}
		return body, err
	}
	return g.client.GetWithin(ctx, t, path)
}

// check gets a path and checks that its answer can be used: otherwise the path
// is not there yet.
func (g *gate) check(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
	body, err := g.client.GetWithin(ctx, t, path)
	switch {
	case err != nil || len(body) == 0:
		return nil, err
	case path == paths.Roles:
		return []byte("a role"), g.checkRole(ctx, t, body) // nothing of it is kept
	case strings.HasSuffix(path, "/"):
		return body, checkListing(path, body)
	}
	found, problems := publish.Build(publish.Collection{Leaves: map[string][]byte{path: body}})
	if len(problems) > 0 { // it would be in no file
		return nil, fmt.Errorf("GET %s: %w: %s", path, retry.ErrContent, unusable(problems[0].Class))
	}
	if path == paths.Identity && found.InstanceID() == "" {
		return nil, fmt.Errorf("GET %s: %w: no instanceId", path, retry.ErrContent)
	}
	if path == paths.RoleInfo {
		return body, checkCode(path, body)
	}
	return body, g.checkValue(path, body)
}

// checkValue returns nil if a required path may have this value.
func (g *gate) checkValue(path string, body []byte) error {
	i := slices.IndexFunc(g.config.Require, func(r Require) bool { return r.Path == path })
	wanted, value := g.config.Require[i].Equals, publish.Chomp(string(body))
	if len(wanted) == 0 || slices.Contains(wanted, value) {
		return nil
	}
	quoted := make([]string, len(wanted))
	for i, s := range wanted {
		quoted[i] = words.Excerpt(s)
	}
	return &retry.MismatchError{Path: path, Got: "the value is " + words.Excerpt(value), Want: strings.Join(quoted, " or ")}
}

// checkCode returns nil if a document has no Code, or has the Code Success.
func checkCode(path string, body []byte) error {
	var role struct{ Code *string }
	if err := json.Unmarshal(body, &role); err != nil {
		return fmt.Errorf("GET %s: %w: its Code is not a string", path, retry.ErrContent)
	}
	if role.Code != nil && *role.Code != "Success" {
		return &retry.MismatchError{Path: path, Got: "its Code is " + words.Excerpt(*role.Code), Want: "Success"}
	}
	return nil
}

// unusable says what is wrong with a body, by its class.
func unusable(class string) string {
	if class == string(policy.NotUTF8) {
		return "not UTF-8"
	}
	return "not a JSON document, or not the kind of value that this path has"
}

// checkListing returns nil if the listing has an entry.
func checkListing(path string, body []byte) error {
	entries, refused := imds.ParseListing(body)
	switch {
	case len(entries) > 0:
		return nil
	case len(refused) > 0:
		return fmt.Errorf("GET %s: %w: no entry that is a name, but %s", path, retry.ErrContent, words.Excerpt(refused[0]))
	default:
		return fmt.Errorf("GET %s: %w", path, retry.ErrEmpty)
	}
}

// checkRole returns nil if the role in the listing has credentials, which are
// dropped at once.
func (g *gate) checkRole(ctx context.Context, t imds.Timeouts, listing []byte) error {
	if err := checkListing(paths.Roles, listing); err != nil {
		return err
	}
	roles, _ := imds.ParseListing(listing)
	g.progress.step(retry.LongestAttempt(g.config.Policy)) // another PUT and GET
	body, err := g.client.GetWithin(ctx, t, paths.Roles+roles[0])
	if err != nil {
		return err
	}
	var role struct{ Code string }
	if err := json.Unmarshal(body, &role); err != nil {
		return fmt.Errorf("GET %s%s: %w: not a JSON document", paths.Roles, roles[0], retry.ErrContent)
	}
	if role.Code != "Success" {
		return fmt.Errorf("GET %s%s: %w: its Code is %s, not Success", paths.Roles, roles[0], retry.ErrContent, words.Excerpt(role.Code))
	}
	return nil
}
