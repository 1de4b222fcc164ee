// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// serve starts an IMDS on loopback.
func serve(t *testing.T, schedule ...imdstest.Phase) (*imdstest.Server, string) {
	t.Helper()
	server := imdstest.New(imdstest.DefaultTree(), schedule...)
	url, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, url
}

// collect runs the crawler and reads its file.
func collect(t *testing.T, url string, concurrency int, identityOnly bool) map[string]string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "metadata.json")
	if err := run(t.Context(), url, out, concurrency, identityOnly); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	leaves := map[string]string{}
	if err := json.Unmarshal(data, &leaves); err != nil {
		t.Fatal(err)
	}
	return leaves
}

// wanted is every leaf that a crawl has to bring.
func wanted() map[string]string {
	leaves := map[string]string{}
	for path, body := range imdstest.DefaultTree() {
		inside := strings.HasPrefix(path, "meta-data/") && !strings.HasSuffix(path, "/") && !strings.Contains(path, "/security-credentials/")
		if inside || path == "dynamic/instance-identity/document" {
			leaves[path] = body
		}
	}
	return leaves
}

func TestCrawl(t *testing.T) {
	for _, tc := range []struct {
		name        string
		concurrency int
	}{{"one by one", 1}, {"four at a time", 4}} {
		t.Run(tc.name, func(t *testing.T) {
			server, url := serve(t)
			got := collect(t, url, tc.concurrency, false)
			if want := wanted(); !maps.Equal(got, want) {
				t.Errorf("collected %d leaves, want %d:\n%q\n%q", len(got), len(want),
					slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			for _, r := range server.Requests() {
				if r.Status != 200 {
					t.Errorf("a request too many: %v", r)
				}
			}
		})
	}
}

func TestCrawlOfTheIdentityAlone(t *testing.T) {
	server, url := serve(t)
	got := collect(t, url, 1, true)
	if len(got) != 1 || len(server.Requests()) != 2 {
		t.Errorf("collected %d leaves with %v", len(got), server.Requests())
	}
}

func TestCrawlErrors(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		_, url := serve(t, imdstest.Phase{Fault: "404", Path: "meta-data/mac"})
		out := filepath.Join(t.TempDir(), "metadata.json")
		err := run(t.Context(), url, out, concurrency, false)
		if err == nil || !strings.Contains(err.Error(), "getting mac: ") {
			t.Errorf("%d at a time: err = %v", concurrency, err)
		}
		if _, err := os.Stat(out); !os.IsNotExist(err) {
			t.Errorf("half a tree was written: %v", err)
		}
	}
}
