// SPDX-License-Identifier: Apache-2.0

package config

import "testing"

func TestEndpointURL(t *testing.T) {
	for _, tt := range []struct{ raw, want, problem string }{
		{"", "", ""},
		{"http://169.254.169.254", "http://169.254.169.254", ""},
		{"http://127.0.0.1:1338/", "http://127.0.0.1:1338", ""},
		{"http://127.0.0.1:1338///", "http://127.0.0.1:1338", ""},
		{"http://localhost", "http://localhost", ""},
		{"HTTP://LocalHost:80/Base/Path/", "http://localhost:80/Base/Path", ""},
		{"http://[fd00:ec2::254]", "http://[fd00:ec2::254]", ""},
		{"http://[FD00:EC2::254]:80/a", "http://[FD00:EC2::254]:80/a", ""},
		{"http://[fe80::1%25Eth0]:80/a", "http://[fe80::1%25Eth0]:80/a", ""},
		{"http://127.0.0.1/a%20b/", "http://127.0.0.1/a%20b", ""},
		{"http://127.0.0.1/a b", "http://127.0.0.1/a%20b", ""},
		{"http://127.0.0.1:65535", "http://127.0.0.1:65535", ""},

		{"127.0.0.1", "", "has no scheme"},
		{"//127.0.0.1", "", "has no scheme"},
		{"127.0.0.1:80", "", "not a URL"},
		{"localhost:80", "", "IMDS speaks http only"},
		{"https://127.0.0.1", "", "IMDS speaks http only"},
		{"unix:///run/imds", "", "IMDS speaks http only"},
		{"http:", "", "has no host"},
		{"http://", "", "has no host"},
		{"http:///latest", "", "has no host"},
		{"http:127.0.0.1", "", "has no host"},
		{"http://:80", "", "the host is not an IP literal"},
		{"http://example.com", "", "the host is not an IP literal"},
		{"http://localhost.", "", "the host is not an IP literal"},
		{"http://[localhost]", "", "not a URL: brackets hold an IPv6 literal"},
		{"http://127.1", "", "the host is not an IP literal"},
		{"http://2130706433", "", "the host is not an IP literal"},
		{"http://0177.0.0.1", "", "the host is not an IP literal"},
		{"http://[127.0.0.1]", "", "not a URL: brackets hold an IPv6 literal"},
		{"http://fd00:ec2::254", "", "not a URL: an IPv6 literal stands in brackets"},
		{"http://[fe80::1%eth0]", "", "not a URL: the zone of an IPv6 literal begins with %25"},
		{"http://[fe80::1%25eth 0]", "", "not a URL: the zone of an IPv6 literal begins with %25"},
		{"http://[fe80::1%25\xe5]", "", "the zone is not the name of an interface"},
		{"http://[::1", "", "not a URL: brackets hold an IPv6 literal"},
		{"http://127.0.0.1:", "", "a colon without a port"},
		{"http://127.0.0.1:0", "", "the port is not in 1 to 65535"},
		{"http://127.0.0.1:65536", "", "the port is not in 1 to 65535"},
		{"http://127.0.0.1:99999999999999999999", "", "the port is not in 1 to 65535"},
		{"http://127.0.0.1:x", "", "not a URL"},
		{"http://me@127.0.0.1", "", "has a user name"},
		{"http://me:secret@127.0.0.1", "", "has a user name"},
		{"http://@127.0.0.1", "", "has a user name"},
		{"http://127.0.0.1?", "", "has a query or a fragment"},
		{"http://127.0.0.1/?a=b", "", "has a query or a fragment"},
		{"http://127.0.0.1#", "", "has a query or a fragment"},
		{"http://127.0.0.1/a/../b", "", `the base path has an empty segment, "." or ".."`},
		{"http://127.0.0.1/a/./b", "", `the base path has an empty segment, "." or ".."`},
		{"http://127.0.0.1//a", "", `the base path has an empty segment, "." or ".."`},
		{"http://127.0.0.1/..", "", `the base path has an empty segment, "." or ".."`},
		{"http://127.0.0.1/%2e%2e/a", "", `the base path has an empty segment, "." or ".."`},
		{" http://127.0.0.1", "", "not a URL"},
		{"http://127.0.0.1\n", "", "not a URL"},
	} {
		got, problem := endpointURL(tt.raw)
		if got != tt.want || problem != tt.problem {
			t.Errorf("%q: got %q, %q, want %q, %q", tt.raw, got, problem, tt.want, tt.problem)
		}
		if again, problem := endpointURL(got); again != got || problem != "" {
			t.Errorf("%q: its final form %q becomes %q, %q", tt.raw, got, again, problem)
		}
	}
}

func TestInterfaceName(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "eth0": "", "ens5.100": "", "br-lan_1": "", "eth0:1": "", "if@x": "", "fifteen-letters": "",
		"sixteen--letters": "longer than 15 bytes",
		".":                "not a name", "..": "not a name",
		"a/b": "a character that a name does not have", "a b": "a character that a name does not have",
		"é": "a character that a name does not have", "a\x00": "a character that a name does not have",
	} {
		value, problem := interfaceName(name)
		if problem != want || problem == "" && value != name {
			t.Errorf("%q: %q, %q; want the problem %q", name, value, problem, want)
		}
	}
}
