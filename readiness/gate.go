// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/policy"
)

// rolesPath is the one listing of credentials that may be required: whether
// there is a role that works. Nothing of it is kept.
const rolesPath = "meta-data/iam/security-credentials/"

// gate waits for the required paths.
type gate struct {
	config   Config
	get      func(context.Context, string) ([]byte, error)
	progress *progress
	wake     func() <-chan struct{} // nil: no news of the network

	mu  sync.Mutex
	had map[string][]byte // path below the version: body
}

// pass waits for the identity document alone, then for the other required paths
// together. The first that is given up ends it, with a [*GiveUpError]; a signal
// ends it with the cause of ctx.
func (g *gate) pass(ctx context.Context) error {
	if err := g.fetch(ctx, g.config.Require[0]); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var all sync.WaitGroup
	places := make(chan struct{}, g.config.Metadata.Concurrency)
	for _, r := range g.config.Require[1:] {
		all.Go(func() {
			if err := g.fetch(ctx, r, places); err != nil {
				end(err) // the first one's stays the cause
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// fetch waits for one required path. Only its requests take one of the places,
// not its pauses: a path that is late holds nobody back.
func (g *gate) fetch(ctx context.Context, r Require, places ...chan struct{}) error {
	p := g.config.Policy
	p.MaxAttempts, p.Deadline = r.MaxAttempts, r.Deadline
	pursuit := pursuit{
		path: r.Path, required: true, policy: p, start: g.progress.start,
		get: func(ctx context.Context, path string) ([]byte, error) {
			for _, place := range places {
				select {
				case place <- struct{}{}:
					defer func() { <-place }()
				case <-ctx.Done(): // as cut as a connection that did not come
					return nil, &imds.Error{Op: http.MethodGet, Path: path, Err: context.Cause(ctx)}
				}
				g.progress.step(longestAttempt(p)) // the wait for a place may have been long
			}
			return g.getRequired(ctx, path)
		},
		wake:   g.wake,
		before: g.progress.step,
		failed: func(f policy.Failure, v policy.Verdict, err error) { g.progress.failed(p, f, v, err) },
		had:    func(int) { g.progress.had(r.Path) },
	}
	body, err := pursuit.run(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.had[r.Path] = body
	return nil
}

// getRequired gets a path and checks that it holds what it must: a required
// path is there only when it can be used.
func (g *gate) getRequired(ctx context.Context, path string) ([]byte, error) {
	body, err := g.get(ctx, path)
	switch {
	case err != nil:
		return nil, err
	case len(body) == 0:
		return nil, fmt.Errorf("GET %s: %w", path, errEmpty)
	case path == rolesPath:
		return nil, g.checkRole(ctx, body)
	case strings.HasSuffix(path, "/"):
		return body, checkListing(path, body)
	}
	found, problems := publish.Build(map[string][]byte{path: body})
	if len(problems) > 0 { // it would be in no file
		return nil, fmt.Errorf("GET %s: %w: %s", path, errContent, unusable(problems[0].Class))
	}
	if path == IdentityPath && found.InstanceID() == "" {
		return nil, fmt.Errorf("GET %s: %w: no instanceId", path, errContent)
	}
	return body, nil
}

// unusable says what is wrong with a body, by what snapshot calls it.
func unusable(class string) string {
	if class == string(policy.NotUTF8) {
		return "not UTF-8"
	}
	return "not a JSON document, or not the kind of value that this path has"
}

// checkListing wants an entry.
func checkListing(path string, body []byte) error {
	entries, refused := imds.ParseListing(body)
	switch {
	case len(entries) > 0:
		return nil
	case len(refused) > 0:
		return fmt.Errorf("GET %s: %w: no entry that is a name, but %s", path, errContent, excerpt(refused[0]))
	default:
		return fmt.Errorf("GET %s: %w", path, errEmpty)
	}
}

// checkRole wants a role whose credentials are there, and drops them at once.
func (g *gate) checkRole(ctx context.Context, listing []byte) error {
	if err := checkListing(rolesPath, listing); err != nil {
		return err
	}
	roles, _ := imds.ParseListing(listing)
	g.progress.step(longestAttempt(g.config.Policy)) // once more a PUT and a GET
	body, err := g.get(ctx, rolesPath+roles[0])
	if err != nil {
		return err
	}
	var role struct{ Code string }
	if err := json.Unmarshal(body, &role); err != nil {
		return fmt.Errorf("GET %s%s: %w: not a JSON document", rolesPath, roles[0], errContent)
	}
	if role.Code != "Success" {
		return fmt.Errorf("GET %s%s: %w: its Code is %s, not Success", rolesPath, roles[0], errContent, excerpt(role.Code))
	}
	return nil
}
