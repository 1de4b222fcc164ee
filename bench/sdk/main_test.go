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

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

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

func TestCrawl(t *testing.T) {
	const document = "dynamic/instance-identity/document"
	tree := imdstest.DefaultTree()
	maps.DeleteFunc(tree, func(path, _ string) bool {
		return path != document && (!strings.HasPrefix(path, "meta-data/") || strings.HasSuffix(path, "/") || strings.Contains(path, "/security-credentials/"))
	})
	for _, tc := range []struct {
		concurrency int
		identity    bool
		want        map[string]string
	}{{1, false, tree}, {4, false, tree}, {1, true, map[string]string{document: tree[document]}}} {
		server, url := serve(t)
		out := filepath.Join(t.TempDir(), "metadata.json")
		err := crawl(t.Context(), imds.New(options(url, false)), out, tc.concurrency, tc.identity)
		data, _ := os.ReadFile(out)
		got := map[string]string{}
		if err != nil || json.Unmarshal(data, &got) != nil || !maps.Equal(got, tc.want) {
			t.Errorf("%v; collected %q, want %q", err, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(tc.want)))
		}
		for _, r := range server.Requests() {
			if r.Status != 200 {
				t.Errorf("an unnecessary request: %v", r)
			}
		}
	}
}

func TestCrawlErrors(t *testing.T) {
	_, url := serve(t, imdstest.Phase{Fault: "404", Path: "meta-data/mac"})
	out := filepath.Join(t.TempDir(), "metadata.json")
	err := crawl(t.Context(), imds.New(options(url, false)), out, 4, false)
	if err == nil || !strings.Contains(err.Error(), "getting mac: ") {
		t.Errorf("err = %v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("an incomplete tree was written: %v", err)
	}
}
