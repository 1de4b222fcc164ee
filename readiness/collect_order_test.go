// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// levels is the order of a crawl, from the tree alone: level by level, each
// sorted.
func levels(tree imdstest.Tree) []string {
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
					below = name + "/" // of public-keys, only the key itself is asked for
				}
				next = append(next, dir+below)
			}
		}
		slices.Sort(next)
		level = slices.Compact(next)
	}
	return order
}

// Two crawls of one tree ask the same in the same order.
func TestCollectOrder(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	want := append([]string{readiness.IdentityPath}, levels(imdstest.DefaultTree())...)
	if got := tr.asked(); !slices.Equal(got, want) {
		t.Errorf("asked for:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A listing may be in any order; the requests are not.
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
	if got := tr.asked()[1:]; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// One token for all, and each request once: nothing is asked for in vain.
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
	if got, want := tr.status.Requests, 2+len(levels(imdstest.DefaultTree())); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}
