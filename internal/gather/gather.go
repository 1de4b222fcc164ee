// SPDX-License-Identifier: Apache-2.0

// Package gather gets the required paths of IMDS with the checks of the gate, and makes the
// files of a collection. The gate and a refresh share it.
package gather

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/collect"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// Require is one path that must be there before READY=1.
type Require struct {
	// Path is exact, below the version, without a leading slash; with a final
	// "/" it is a listing that must have an entry.
	Path string
	// Equals lists the values that satisfy the gate; a final LF or CRLF of the
	// answer does not count. If empty, any value does. The path must be below
	// meta-data/, and neither a listing nor a document.
	Equals []string
	// MaxAttempts and Deadline limit the wait for this path, as in policy.Policy.
	MaxAttempts int
	Deadline    time.Duration
}

// Source makes attempts at paths of IMDS. Step may be nil.
type Source struct {
	Client *imds.Client
	// Policy is that of [retry]; its timeouts bound a step.
	Policy policy.Policy
	// Require lists the required paths.
	Require []Require
	// Step is called before an additional step with the longest time that it can take.
	Step func(longest time.Duration)
}

func (s Source) step(longest time.Duration) {
	if s.Step != nil {
		s.Step(longest)
	}
}

// Files are the result of a collection.
type Files struct {
	publish.Snapshot
	// Missing has the class of every path that could not be fetched or used.
	Missing map[string]string
}

// WarnOmitted warns about the variables that imds.env omits.
func (f Files) WarnOmitted(log *slog.Logger) {
	if names := f.Omitted(); len(names) > 0 {
		log.Warn("imds.env omits variables: a value has more than 255 bytes, or does not begin with a letter, a digit or a slash",
			"variables", strings.Join(names, " "))
	}
}

// Collect runs a collection, whose Fetch and Step it sets, and builds the files. previous
// is what they replace, or nil. If the context ends, the result is incomplete.
func (s Source) Collect(ctx context.Context, c collect.Collector, previous *publish.Previous) Files {
	c.Step = s.Step
	c.Fetch = func(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
		if _, required := c.Fetched[path]; !required {
			return s.Client.GetWithin(ctx, t, path)
		}
		body, err := s.Check(ctx, t, path)
		if err == nil && len(body) == 0 {
			err = fmt.Errorf("GET %s: %w", path, retry.ErrEmpty)
		}
		return body, err
	}
	collected := c.Run(ctx)
	missing := map[string]string{}
	for path, class := range collected.Missing {
		missing[path] = string(class)
	}
	built, problems := publish.Build(publish.Collection{Leaves: collected.Leaves, Missing: missing, Previous: previous})
	for _, p := range problems {
		missing[p.Path] = p.Class
	}
	return Files{built, missing}
}

// Named names up to three paths that could not be fetched, the shallowest first.
// It is empty if they are all listed paths that are not there: an oddity of the
// real service must not be a warning at every boot.
func Named(missing map[string]string) string {
	if !slices.ContainsFunc(slices.Collect(maps.Values(missing)), func(class string) bool { return class != "404" }) {
		return ""
	}
	all := slices.SortedFunc(maps.Keys(missing), paths.CompareDepth)
	const most = 3
	var some []string
	for _, path := range all[:min(len(all), most)] {
		some = append(some, path+" ("+missing[path]+")")
	}
	text := strings.Join(some, ", ")
	if more := len(all) - len(some); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
