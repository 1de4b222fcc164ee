// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"strings"
	"testing"
)

// What people write instead of a key, and what they are told.
func TestSimilar(t *testing.T) {
	v := values(t, published(t, Status{}).path)
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
		{"architecture", "identity/architecture"},
		{"zzzzzzz", ""},
		{"x", ""},
		{"-", ""},
		{strings.Repeat("region", 30), ""},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			_, err := v.Lookup(tt.key)
			e, ok := errors.AsType[*KeyError](err)
			if !ok || e.Key != tt.key || e.Class != "" || e.Credentials {
				t.Fatalf("%#v %v", e, err)
			}
			if got := strings.Join(e.Similar, " "); got != tt.want && !strings.HasPrefix(got, tt.want+" ") || tt.want == "" && got != "" {
				t.Errorf("similar are %q, want %q", got, tt.want)
			}
			if text := err.Error(); strings.Contains(text, "did you mean") != (tt.want != "") {
				t.Error(text)
			}
		})
	}
}

func TestKeyErrors(t *testing.T) {
	v := values(t, published(t, Status{
		State: Degraded, Generation: 1,
		Missing: map[string]string{
			"meta-data/spot/instance-action": "503", "meta-data/ancestor-ami-ids": "too-large", "meta-data/elastic-inference/": "read-timeout",
		},
		Required: map[string]Requirement{
			"meta-data/tags/instance/Role": {Class: new("404")}, identityPath: {OK: true, Class: new("503")},
			"meta-data/elastic-gpus/": {Class: new("empty")},
		},
	}).path)
	tests := []struct{ name, key, want string }{
		{"could not be had", "ancestor-ami-ids", `no such key: "ancestor-ami-ids" could not be had: too-large`},
		{"with the prefix", "meta-data/ancestor-ami-ids", `no such key: "meta-data/ancestor-ami-ids" could not be had: too-large`},
		{"in a document", "spot/instance-action/time", `no such key: "spot/instance-action/time" could not be had: 503`},
		{"a listing", "elastic-inference", `no such key: "elastic-inference" could not be had: read-timeout`},
		{"in a listing", "elastic-inference/x", `no such key: "elastic-inference/x" could not be had: read-timeout`},
		{"required", "tags/instance/Role", `no such key: "tags/instance/Role" could not be had: 404`},
		{"a required listing", "elastic-gpus/associations", `no such key: "elastic-gpus/associations" could not be had: empty`},
		{"had", "identity/nothing-like-it", `no such key: "identity/nothing-like-it"`},
		{"credentials", "iam/security-credentials/web", `no such key: "iam/security-credentials/web": credentials are in no file, ask IMDS`},
		{"others", "identity-credentials/ec2/security-credentials/ec2-instance", "credentials are in no file"},
		{"no class", "regio", `no such key: "regio": did you mean identity/region or placement/region?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Lookup(tt.key)
			if !isAbsent(err) || got != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v %v, want %s", got, err, tt.want)
			}
		})
	}
}

// A failed listing above does not hide a slip of the pen.
func TestKeyErrorBelowAFailedListing(t *testing.T) {
	v := values(t, published(t, Status{State: Ready, Generation: 1, Missing: map[string]string{"meta-data/": "bad-response"}}).path)
	_, err := v.Lookup("placement/regoin")
	const want = `no such key: "placement/regoin" could not be had: bad-response: did you mean placement/region?`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"ab", "abc", 1},
		{"regoin", "region", 1},
		{"ab", "ba", 1},
		{"abcd", "badc", 2},
		{"kitten", "sitting", 3},
		{"größe", "grösse", 2},
	} {
		if got, back := edits(tt.a, tt.b), edits(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("%q and %q: %d, back %d, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}
