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
		{"localhost:80", "", "the scheme must be http"},
		{"https://127.0.0.1", "", "the scheme must be http"},
		{"unix:///run/imds", "", "the scheme must be http"},
		{"http:", "", "has no host"},
		{"http://", "", "has no host"},
		{"http:///latest", "", "has no host"},
		{"http:127.0.0.1", "", "has no host"},
		{"http://:80", "", "the host must be an IP address or localhost"},
		{"http://example.com", "", "the host must be an IP address or localhost"},
		{"http://localhost.", "", "the host must be an IP address or localhost"},
		{"http://[localhost]", "", "not a URL: brackets must hold an IPv6 address"},
		{"http://127.1", "", "the host must be an IP address or localhost"},
		{"http://2130706433", "", "the host must be an IP address or localhost"},
		{"http://0177.0.0.1", "", "the host must be an IP address or localhost"},
		{"http://[127.0.0.1]", "", "not a URL: brackets must hold an IPv6 address"},
		{"http://fd00:ec2::254", "", "not a URL: write an IPv6 address in brackets"},
		{"http://[fe80::1%eth0]", "", "not a URL: write %25 before the zone of an IPv6 address"},
		{"http://[fe80::1%25eth 0]", "", "not a URL: write %25 before the zone of an IPv6 address"},
		{"http://[fe80::1%25\xe5]", "", "the zone must be the name of an interface"},
		{"http://[::1", "", "not a URL: brackets must hold an IPv6 address"},
		{"http://127.0.0.1:", "", "has a colon without a port"},
		{"http://127.0.0.1:0", "", "the port must be 1 to 65535"},
		{"http://127.0.0.1:65536", "", "the port must be 1 to 65535"},
		{"http://127.0.0.1:99999999999999999999", "", "the port must be 1 to 65535"},
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
		"sixteen--letters": "must be at most 15 bytes long",
		".":                "not a name", "..": "not a name",
		"a/b": "has a character that a name cannot have", "a b": "has a character that a name cannot have",
		"é": "has a character that a name cannot have", "a\x00": "has a character that a name cannot have",
	} {
		value, problem := interfaceName(name)
		if problem != want || problem == "" && value != name {
			t.Errorf("%q: %q, %q; want the problem %q", name, value, problem, want)
		}
	}
}
