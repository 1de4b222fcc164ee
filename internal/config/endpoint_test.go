// SPDX-License-Identifier: Apache-2.0

package config

import "testing"

func TestEndpointURL(t *testing.T) {
	for raw, want := range map[string]string{
		"":                               "",
		"http://169.254.169.254":         "http://169.254.169.254",
		"http://127.0.0.1:1338/":         "http://127.0.0.1:1338",
		"http://127.0.0.1:1338///":       "http://127.0.0.1:1338",
		"http://localhost":               "http://localhost",
		"HTTP://LocalHost:80/Base/Path/": "http://localhost:80/Base/Path",
		"http://[fd00:ec2::254]":         "http://[fd00:ec2::254]",
		"http://[FD00:EC2::254]:80/a":    "http://[FD00:EC2::254]:80/a",
		"http://[fe80::1%25Eth0]:80/a":   "http://[fe80::1%25Eth0]:80/a",
		"http://127.0.0.1/a%20b/":        "http://127.0.0.1/a%20b",
		"http://127.0.0.1/a b":           "http://127.0.0.1/a%20b",
		"http://127.0.0.1:65535":         "http://127.0.0.1:65535",
	} {
		if got, problem := endpointURL(raw); got != want || problem != "" {
			t.Errorf("%q: got %q, %q, want %q", raw, got, problem, want)
		}
		if again, problem := endpointURL(want); again != want || problem != "" {
			t.Errorf("%q: its final form %q becomes %q, %q", raw, want, again, problem)
		}
	}
	for problem, raws := range map[string][]string{
		"has no scheme":           {"127.0.0.1", "//127.0.0.1"},
		"not a URL":               {"127.0.0.1:80", "http://127.0.0.1:x", " http://127.0.0.1", "http://127.0.0.1\n"},
		"the scheme must be http": {"localhost:80", "https://127.0.0.1", "unix:///run/imds"},
		"has no host":             {"http:", "http://", "http:///latest", "http:127.0.0.1"},
		"the host must be an IP address or localhost": {
			"http://:80", "http://example.com", "http://localhost.", "http://127.1", "http://2130706433", "http://0177.0.0.1",
		},
		"not a URL: brackets must hold an IPv6 address":           {"http://[localhost]", "http://[127.0.0.1]", "http://[::1"},
		"not a URL: write an IPv6 address in brackets":            {"http://fd00:ec2::254"},
		"not a URL: write %25 before the zone of an IPv6 address": {"http://[fe80::1%eth0]", "http://[fe80::1%25eth 0]"},
		"the zone must be the name of an interface":               {"http://[fe80::1%25\xe5]"},
		"has a colon without a port":                              {"http://127.0.0.1:"},
		"the port must be 1 to 65535":                             {"http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:99999999999999999999"},
		"has a user name":                                         {"http://me@127.0.0.1", "http://me:secret@127.0.0.1", "http://@127.0.0.1"},
		"has a query or a fragment":                               {"http://127.0.0.1?", "http://127.0.0.1/?a=b", "http://127.0.0.1#"},
		`the base path has an empty segment, "." or ".."`: {
			"http://127.0.0.1/a/../b", "http://127.0.0.1/a/./b", "http://127.0.0.1//a", "http://127.0.0.1/..", "http://127.0.0.1/%2e%2e/a",
		},
	} {
		for _, raw := range raws {
			if value, got := endpointURL(raw); got != problem || value != "" {
				t.Errorf("%q: got %q, %q, want the problem %q", raw, value, got, problem)
			}
		}
	}
}

func TestInterfaceName(t *testing.T) {
	for problem, names := range map[string][]string{
		"":                              {"", "eth0", "ens5.100", "br-lan_1", "eth0:1", "if@x", "fifteen-letters"},
		"must be at most 15 bytes long": {"sixteen--letters"},
		"not a name":                    {".", ".."},
		"has a character that a name cannot have": {"a/b", "a b", "é", "a\x00"},
	} {
		for _, name := range names {
			if value, got := interfaceName(name); got != problem || got == "" && value != name {
				t.Errorf("%q: %q, %q; want the problem %q", name, value, got, problem)
			}
		}
	}
}
