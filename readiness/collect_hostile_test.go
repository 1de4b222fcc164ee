// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// wantInsideTree checks that every request is for a clean path below meta-data/, and that
// no path is requested twice unless something failed.
func (tr *trial) wantInsideTree(t *testing.T) {
	t.Helper()
	requested := tr.requestedPaths()[1:]
	for _, path := range requested {
		segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
		if segments[0] != "meta-data" || len(segments) > 13 ||
			slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." }) {
			t.Errorf("requested %q", path)
		}
	}
	slices.Sort(requested)
	if once := len(slices.Compact(slices.Clone(requested))); once != len(requested) && len(tr.status.Missing) == 0 {
		t.Errorf("%d requests for %d paths", len(requested), once)
	}
	if tr.exit != 0 || tr.status.State != "ready" {
		t.Errorf("exit %d, state %s", tr.exit, tr.status.State)
	}
}

// Invalid entries are ignored and reported; the other entries are collected.
func TestHostileDotDot(t *testing.T) {
	tr := faulty(t, "dotdot@meta-data/**").run(t)
	tr.wantInsideTree(t)
	if tr.status.Missing["meta-data/"] != "bad-response" {
		t.Errorf("missing %v", tr.status.Missing)
	}
	if got := tr.object(t, "meta-data.json"); got["instance-id"] != "i-0123456789abcdef0" {
		t.Errorf("meta-data.json %v", got)
	}
	for _, line := range tr.logged("WARN") {
		if strings.ContainsAny(line, "\t\x1b") {
			t.Errorf("a control character is in the log: %q", line)
		}
	}
	if len(tr.logged("WARN")) == 0 {
		t.Error("no warning")
	}
}

// The depth, the number of entries and the deadline bound a directory that contains
// itself.
func TestHostileSelfListing(t *testing.T) {
	tr := faulty(t, "self-listing").run(t)
	tr.wantInsideTree(t)
	if n := len(tr.requestedPaths()); n > 4096+2 {
		t.Errorf("%d requests", n)
	}
	if tr.elapsed > 10*time.Second || len(tr.status.Missing) == 0 {
		t.Errorf("took %v, missing %d", tr.elapsed, len(tr.status.Missing))
	}
}

// Of 5000 entries, the first 4096 are collected, and the listing is missing as too large.
func TestHostileManyEntries(t *testing.T) {
	tree := imdstest.Tree{"dynamic/instance-identity/document": imdstest.DefaultTree()["dynamic/instance-identity/document"]}
	for i := range 5000 {
		tree[fmt.Sprintf("meta-data/tags/instance/%04d", i)] = "x"
	}
	tr := newTrial(t, imdstest.New(tree))
	tr.config.Metadata.CollectDeadline = time.Hour
	tr.run(t)
	tr.wantInsideTree(t)
	if n := len(tr.object(t, "tags.json")); n < 4000 || n > 4096 {
		t.Errorf("%d tags", n)
	}
	if !maps.Equal(tr.status.Missing, map[string]string{"meta-data/tags/instance/": "too-large"}) {
		t.Errorf("missing %v", tr.status.Missing)
	}
}

// Twelve levels below meta-data are collected, thirteen are not.
func TestHostileDepth(t *testing.T) {
	deep := "meta-data" + strings.Repeat("/d", 11)
	tree := imdstest.DefaultTree()
	tree[deep+"/leaf"] = "x"
	tr := newTrial(t, imdstest.New(tree)).run(t)
	if !slices.Contains(tr.requestedPaths(), deep+"/leaf") || len(tr.status.Missing) != 0 {
		t.Errorf("missing %v", tr.status.Missing)
	}
	tree[deep+"/d/leaf"] = "x"
	tr = newTrial(t, imdstest.New(tree)).run(t)
	tr.wantInsideTree(t)
	if slices.Contains(tr.requestedPaths(), deep+"/d/leaf") || len(tr.status.Missing) != 1 {
		t.Errorf("missing %v", tr.status.Missing)
	}
	for _, class := range tr.status.Missing {
		if class != "too-large" {
			t.Errorf("missing %v", tr.status.Missing)
		}
	}
}

// After 4 MiB, all other paths of a collection are too large.
func TestHostileFourMiB(t *testing.T) {
	tree := imdstest.DefaultTree()
	for i := range 30 {
		tree[fmt.Sprintf("meta-data/zz%02d", i)] = strings.Repeat("x", 256<<10)
	}
	tr := newTrial(t, imdstest.New(tree))
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	tr.wantInsideTree(t)
	size := 0
	for path, v := range tr.object(t, "meta-data.json") {
		if strings.HasPrefix(path, "zz") {
			size += len(v.(string))
		}
	}
	if size > 4<<20 || size < 3<<20 {
		t.Errorf("%d bytes are in the file", size)
	}
	for path, class := range tr.status.Missing {
		if class != "too-large" {
			t.Errorf("%s: %s", path, class)
		}
	}
	if tr.status.Missing["meta-data/zz29"] != "too-large" {
		t.Errorf("missing %v", tr.status.Missing)
	}
}

// An HTML page instead of a listing leads to no request outside the tree.
func TestHostileHTMLListing(t *testing.T) {
	tr := faulty(t, "html@meta-data/").run(t)
	tr.wantInsideTree(t)
	if tr.status.Missing["meta-data/"] != "bad-response" {
		t.Errorf("missing %v", tr.status.Missing)
	}
}

// A name may have any characters. It is escaped in the request, but not in the files.
func TestHostileNames(t *testing.T) {
	tree := imdstest.DefaultTree()
	names := []string{"a b", "a?b", "a#b", "100%", "%2e%2e", "ü", "a&b=c", `"`, "...", "*", "a:b"}
	for _, name := range names {
		tree["meta-data/tags/instance/"+name] = "of " + name
	}
	tr := newTrial(t, imdstest.New(tree)).run(t)
	got := tr.object(t, "tags.json")
	for _, name := range names {
		if got[name] != "of "+name {
			t.Errorf("%q is %v", name, got[name])
		}
	}
	if len(tr.status.Missing) != 0 {
		t.Errorf("missing %v", tr.status.Missing)
	}
}
