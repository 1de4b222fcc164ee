// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

// instance returns the values of a realistic instance. The tests of package publish
// compare these files with what that package writes.
func instance(t *testing.T, state string, missing map[string]string) *snapshot.Values {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../internal/publish/testdata/golden")); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(snapshot.Status{State: state, BootID: "b", Missing: missing}.Normal())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, snapshot.StatusFile), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := snapshot.Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Keys as people misspell or remember them, and the suggestions.
func TestSimilarKeys(t *testing.T) {
	v := instance(t, "ready", nil)
	tests := []struct{ key, want string }{
		{"region", "placement/region"},
		{"Region", "placement/region"},
		{"placement/regoin", "placement/region"},
		{"regoin", "identity/region placement/region"},
		{"placment/region", "placement/region"},
		{"az", "placement/availability-zone"},
		{"availability-zone", "placement/availability-zone"},
		{"availability_zone_id", "placement/availability-zone-id"},
		{"account-id", "identity/accountId"},
		{"accountId", "identity/accountId"},
		{"account", "identity/accountId"},
		{"identity/account-id", "identity/accountId"},
		{"identity/accountid", "identity/accountId"},
		{"instanceId", "instance-id identity/instanceId"},
		{"instance_id", "instance-id identity/instanceId"},
		{"instanceid", "instance-id identity/instanceId"},
		{"instnace-id", "instance-id"},
		{"latest/meta-data/mac", "mac"},
		{"meta-data/placement/Region", "placement/region"},
		{"Name", "tags/instance/Name"},
		{"tags/Name", "tags/instance/Name"},
		{"tags/instance/name", "tags/instance/Name"},
		{"public-ip", "public-ipv4"},
		{"private-ip", "local-ipv4"},
		{"hostnme", "hostname"},
		// The primary interface, which is not the first by its MAC address, comes first.
		{"vpc-idd", "network/interfaces/macs/02:29:96:8f:6a:2d/vpc-id network/interfaces/macs/02:00:00:00:00:01/vpc-id"},
		{"subnet_id", "network/interfaces/macs/02:29:96:8f:6a:2d/subnet-id network/interfaces/macs/02:00:00:00:00:01/subnet-id"},
		// A public key is no tag, although it has a name.
		{"public-key/0/name", "public-keys/0/name"},
		{"tags/instance/openssh-key", ""},
		{"architecture", "identity/architecture"},
		{"zzzzzzz", ""},
		{"x", ""},
		{"-", ""},
		{strings.Repeat("region", 30), ""},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			if got := strings.Join(similarKeys(v, tt.key), " "); got != tt.want && !strings.HasPrefix(got, tt.want+" ") || tt.want == "" && got != "" {
				t.Errorf("similar are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSuggestKeys(t *testing.T) {
	missing := map[string]string{"meta-data/placement/region-id": "503", "meta-data/placement/": "bad-response"}
	v := instance(t, snapshot.Ready, missing)
	for key, want := range map[string]string{
		"regio":                       ": did you mean identity/region or placement/region?",
		"tags/instance/name":          ": did you mean tags/instance/Name?",
		"placement/regoin":            ": did you mean placement/region?", // the listing that failed may not contain it
		"placement/region-id":         "",                                 // it could not be fetched
		"zzzzzz":                      "",
		"iam/security-credentials/ro": "",
	} {
		_, err := v.Lookup(key)
		e, ok := errors.AsType[*snapshot.KeyError](err)
		if !ok {
			t.Fatalf("%s: %v", key, err)
		}
		if got := suggestKeys(v, e); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// The files of a hostile IMDS make no suggestion expensive.
func TestSimilarIsBounded(t *testing.T) {
	dir := t.TempDir()
	var tree strings.Builder
	name := strings.Repeat("abcdefghij", 9)
	for i := range 70_000 {
		fmt.Fprintf(&tree, `"%s%05d":"",`, name, i)
	}
	data, err := json.Marshal(snapshot.Status{State: snapshot.Ready, BootID: "b"}.Normal())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, snapshot.StatusFile), data, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, snapshot.MetaDataFile), []byte("{"+tree.String()+`"z":""}`), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := snapshot.Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	keys := len(similarKeys(v, strings.Repeat("bacdefghij", 9)+"00000"))
	runtime.ReadMemStats(&after)
	if allocs := after.Mallocs - before.Mallocs; allocs > 5_000_000 || keys == 0 {
		t.Errorf("%d suggestions after %d allocations", keys, allocs)
	}
}
