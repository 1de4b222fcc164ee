// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTextfile(t *testing.T) {
	const (
		relative = "must be absolute: begin it with a slash"
		dots     = `has a segment "." or ".."`
		control  = "has a control character"
	)
	for _, tt := range []struct{ raw, value, problem string }{
		{"", "", ""},
		{"/run/imds", "/run/imds/imds_ready.prom", ""},
		{"/run/imds/", "/run/imds/imds_ready.prom", ""},
		{"/", "/imds_ready.prom", ""},
		{"/run/imds/gate.prom", "/run/imds/gate.prom", ""},
		{"/run//imds///gate.prom", "/run/imds/gate.prom", ""},
		{"/run/imds.prom/", "/run/imds.prom/imds_ready.prom", ""},
		{"/run/gate.prom.d", "/run/gate.prom.d/imds_ready.prom", ""},
		{"/run/gate.PROM", "/run/gate.PROM/imds_ready.prom", ""},
		{"/srv/a b/größe", "/srv/a b/größe/imds_ready.prom", ""},
		{"/srv/..hidden/...", "/srv/..hidden/.../imds_ready.prom", ""},

		{"run/imds", "", relative},
		{"imds.prom", "", relative},
		{"~/imds.prom", "", relative},
		{" /run/imds", "", relative},
		{"./imds.prom", "", relative},
		{"/run/../etc", "", dots},
		{"/run/..", "", dots},
		{"/run/./imds.prom", "", dots},
		{"/run/imds\n", "", control},
		{"/run/\x00/imds.prom", "", control},
		{"/run/\x7f", "", control},
		{"/run/\u0085", "", control},
	} {
		value, problem := textfile(tt.raw)
		if value != tt.value || problem != tt.problem {
			t.Errorf("%q: got %q, %q, want %q, %q", tt.raw, value, problem, tt.value, tt.problem)
		}
	}
}

// TestTextfileSetting checks that `check` shows the file, not its directory.
func TestTextfileSetting(t *testing.T) {
	c := one(t, "[output]\ntextfile = '/run/imds'")
	if got, want := setting(t, c, "output.textfile"), `"/run/imds/imds_ready.prom" from config.toml:2`; got != want {
		t.Errorf("output.textfile is %s, want %s", got, want)
	}
	if want := "/run/imds/imds_ready.prom"; c.Readiness.Textfile != want {
		t.Errorf("the daemon has %q, want %q", c.Readiness.Textfile, want)
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
