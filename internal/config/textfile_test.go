// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTextfile(t *testing.T) {
	for raw, want := range map[string]string{
		"":                       "",
		"/run/imds":              "/run/imds/imds_ready.prom",
		"/run/imds/":             "/run/imds/imds_ready.prom",
		"/":                      "/imds_ready.prom",
		"/run/imds/gate.prom":    "/run/imds/gate.prom",
		"/run//imds///gate.prom": "/run/imds/gate.prom",
		"/run/imds.prom/":        "/run/imds.prom/imds_ready.prom",
		"/run/gate.prom.d":       "/run/gate.prom.d/imds_ready.prom",
		"/run/gate.PROM":         "/run/gate.PROM/imds_ready.prom",
		"/srv/a b/größe":         "/srv/a b/größe/imds_ready.prom",
		"/srv/..hidden/...":      "/srv/..hidden/.../imds_ready.prom",
	} {
		if got, problem := textfile(raw); got != want || problem != "" {
			t.Errorf("%q: got %q, %q, want %q", raw, got, problem, want)
		}
	}
	for problem, raws := range map[string][]string{
		"must be absolute: begin it with a slash": {"run/imds", "imds.prom", "~/imds.prom", " /run/imds", "./imds.prom"},
		`has a segment "." or ".."`:               {"/run/../etc", "/run/..", "/run/./imds.prom"},
		"has a control character":                 {"/run/imds\n", "/run/\x00/imds.prom", "/run/\x7f", "/run/\u0085"},
	} {
		for _, raw := range raws {
			if value, got := textfile(raw); got != problem || value != "" {
				t.Errorf("%q: got %q, %q, want the problem %q", raw, value, got, problem)
			}
		}
	}
	// check shows the file, not its directory.
	c := one(t, "[output]\ntextfile = '/run/imds'")
	if got, want := setting(t, c, "output.textfile"), `"/run/imds/imds_ready.prom" from config.toml:2`; got != want {
		t.Errorf("output.textfile is %s, want %s", got, want)
	}
}

func FuzzTextfile(f *testing.F) {
	for _, seed := range []string{"", "/", "/run/imds", "/run/imds/", "/a//b.prom", "/.prom", "/..prom", "a.prom", "/a/../b", "/\xff.prom", "/a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		value, problem := textfile(raw)
		if problem != "" || raw == "" {
			if value != "" {
				t.Fatalf("%q: both %q and %q", raw, value, problem)
			}
			return
		}
		if !filepath.IsAbs(value) || filepath.Clean(value) != value || !strings.HasSuffix(value, ".prom") {
			t.Fatalf("%q becomes %q", raw, value)
		}
		if again, problem := textfile(value); again != value || problem != "" {
			t.Fatalf("%q becomes %q, then %q, %q", raw, value, again, problem)
		}
	})
}
