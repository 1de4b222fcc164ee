// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"runtime"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel name\t: AMD  EPYC\t7R13\nmodel name\t: another\n\nflags\t\t: fpu\n"
	for _, tc := range []struct{ key, want string }{
		{"model name", "AMD EPYC 7R13"},
		{"flags", "fpu"},
		{"model", "unknown"},
	} {
		if got := find(cpuinfo, tc.key, "unknown"); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.key, got, tc.want)
		}
	}
	if got := field("/nonexistent", "x", "unknown"); got != "unknown" {
		t.Errorf("no file: %q", got)
	}
}

func TestGiB(t *testing.T) {
	for in, want := range map[string]string{"16314720 kB": "16 GiB", "": "an unknown amount"} {
		if got := gib(in); got != want {
			t.Errorf("gib(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	got := Describe()
	for _, want := range []string{runtime.Version(), "GiB", "Linux ", "load average "} {
		if !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%q lacks %q, or is not one line", got, want)
		}
	}
}
