// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// crawlOrder returns the order of the requests for a tree: level by level, each sorted.
func crawlOrder(tree imdstest.Tree) []string {
	var order []string
	for level := []string{"meta-data/"}; len(level) > 0; {
		order = append(order, level...)
		var next []string
		for path := range tree {
			for _, dir := range level {
				below, ok := strings.CutPrefix(path, dir)
				if !ok || !strings.HasSuffix(dir, "/") || below == "" || strings.Contains(below, "security-credentials") {
					continue
				}
				if name, _, isDir := strings.Cut(below, "/"); isDir && dir != "meta-data/public-keys/" {
					below = name + "/" // of public-keys, only the key itself is requested
				}
				next = append(next, dir+below)
			}
		}
		slices.Sort(next)
		level = slices.Compact(next)
	}
	return order
}

// Two collections of one tree make the same requests in the same order.
func TestCollectOrder(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	want := append([]string{imds.IdentityPath}, crawlOrder(imdstest.DefaultTree())...)
	if got := tr.requestedPaths(); !slices.Equal(got, want) {
		t.Errorf("requested:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The order of the requests does not depend on the order of a listing.
func TestCollectOrderOfAListing(t *testing.T) {
	tree := imdstest.DefaultTree()
	tree["meta-data/placement/"] = "region\navailability-zone-id\navailability-zone"
	tr := newTrial(t, imdstest.New(tree))
	tr.config.Metadata.Include = []string{"meta-data/placement/**"}
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	want := []string{
		"meta-data/", "meta-data/placement/",
		"meta-data/placement/availability-zone", "meta-data/placement/availability-zone-id", "meta-data/placement/region",
	}
	if got := tr.requestedPaths()[1:]; !slices.Equal(got, want) {
		t.Errorf("requested %q, want %q", got, want)
	}
}

// There is one token for all requests, and no request fails.
func TestCollectRequests(t *testing.T) {
	tr := faulty(t, "").run(t)
	puts := 0
	for _, r := range tr.sim.Requests() {
		if r.Kind == "PUT" {
			puts++
		}
		if r.Status != 200 {
			t.Errorf("%v", r)
		}
		if got := r.Header.Get("X-Forwarded-For"); got != "" {
			t.Errorf("X-Forwarded-For: %s", got)
		}
	}
	if puts != 1 {
		t.Errorf("%d PUTs", puts)
	}
	if got, want := tr.status.Requests, 2+len(crawlOrder(imdstest.DefaultTree())); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}
