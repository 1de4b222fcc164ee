// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds"
)

func TestEndpointChoice(t *testing.T) {
	const (
		file4 = "endpoint.mode = 'ipv4'\n"
		fileU = "endpoint.url = 'http://127.0.0.1:1'\n"
		url   = "http://127.0.0.1:1"
		other = "http://127.0.0.1:2"
	)
	both := []string{imds.EndpointIPv4, imds.EndpointIPv6}
	for _, tt := range []struct {
		name, file string
		vars       []string
		want       []string
		explicit   bool
	}{
		{"nothing", "", nil, both, false},
		{"auto", "endpoint.mode = 'auto'", nil, both, false},
		{"file mode ipv4", file4, nil, both[:1], false},
		{"file mode ipv6", "endpoint.mode = 'ipv6'", nil, both[1:], false},
		{"file url", fileU, nil, []string{url}, true},
		{"file url beats file mode", fileU + file4, nil, []string{url}, true},
		{"empty file url", "endpoint.url = ''", nil, both, false},
		{"variable over file mode", file4, []string{envMode, "IPv6"}, both[1:], false},
		{"variable in upper case", "", []string{envMode, "IPV4"}, both[:1], false},
		{"file url beats variable mode", fileU, []string{envMode, "ipv6"}, []string{url}, true},
		{"variable url over file url", fileU, []string{envEndpoint, other + "/"}, []string{other}, true},
		{"variable url beats all modes", file4, []string{envEndpoint, other, envMode, "ipv6"}, []string{other}, true},
		{"empty variables are not set", fileU + file4, []string{envEndpoint, "", envMode, ""}, []string{url}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := one(t, tt.file, tt.vars...)
			if !slices.Equal(c.IMDS.Endpoints, tt.want) || c.Readiness.ExplicitEndpoint != tt.explicit {
				t.Errorf("endpoints %v, explicit %t, want %v, %t", c.IMDS.Endpoints, c.Readiness.ExplicitEndpoint, tt.want, tt.explicit)
			}
		})
	}
}

func TestEnvironmentOrigin(t *testing.T) {
	c := one(t, "endpoint.mode = 'ipv4'", envEndpoint, "http://[::1]:80/x/", envMode, "IPV6")
	if got, want := setting(t, c, "endpoint.url"), `"http://[::1]:80/x" from environment AWS_EC2_METADATA_SERVICE_ENDPOINT`; got != want {
		t.Errorf("url is %s, want %s", got, want)
	}
	if got, want := setting(t, c, "endpoint.mode"), `"ipv6" from environment AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE`; got != want {
		t.Errorf("mode is %s, want %s", got, want)
	}
}

func TestDisabled(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "TRUE": true, "True": true, "": false, "1": false, "yes": false, "false": false, " true": false} {
		if got := one(t, "", envDisabled, value).Readiness.Disabled; got != want {
			t.Errorf("%q: %t, want %t", value, got, want)
		}
	}
}

func TestEnvironmentProblems(t *testing.T) {
	const validMode = `, valid: ipv4 or ipv6 (in any case)`
	for _, tt := range []struct {
		name string
		vars []string
		want string
	}{
		{
			"mode",
			[]string{envMode, "IPv5"},
			`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = "IPv5": unknown value` + validMode,
		},
		{
			"auto is ours alone",
			[]string{envMode, "auto"},
			`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = "auto": unknown value` + validMode,
		},
		{
			"a space",
			[]string{envMode, "ipv4 "},
			`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = "ipv4 ": unknown value` + validMode,
		},
		{
			"url",
			[]string{envEndpoint, "169.254.169.254"},
			`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT = "169.254.169.254": has no scheme, valid: ` + validURL,
		},
		{
			"control characters are escaped",
			[]string{envEndpoint, "\x1bx\xff"},
			`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT = "\u001Bx` + "\ufffd" + `": not a URL, valid: ` + validURL,
		},
		{
			"both, though the url would beat the mode",
			[]string{envEndpoint, "https://127.0.0.1", envMode, "x"},
			`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT = "https://127.0.0.1": the scheme must be http, valid: ` + validURL + "\n" +
				`environment: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = "x": unknown value` + validMode,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (tree{}).problemsOf(t, tt.vars...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	long := (tree{}).problemsOf(t, envEndpoint, strings.Repeat("x", 1<<20))
	if len(long) > 600 {
		t.Errorf("a problem of %d bytes", len(long))
	}
}
