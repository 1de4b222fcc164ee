// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == netns.Inside {
		main()
	}
	goleak.VerifyTestMain(m)
}

// TestRun is the whole benchmark, with one small crawl under each configuration.
// Where the kernel gives no namespace to whoever tests, or ip(8) is not there, it
// looks at how that is told.
func TestRun(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	var stdout strings.Builder
	err := run(t.Context(), []string{"-n", "1", "-interfaces", "0"}, &stdout)
	if err != nil {
		for what, hint := range map[string]string{
			"making a network namespace":     "run this as root, or allow user namespaces",
			"joining two network namespaces": "",
		} {
			if strings.Contains(err.Error(), what) && strings.HasSuffix(err.Error(), hint) {
				return
			}
		}
		t.Fatal(err)
	}
	for _, want := range []string{"# Packets of a crawl\n", "| imds-ready, as fast ", "| imds-ready, packets in any one second |    1023 | "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
	if strings.Contains(stdout.String(), "NOT MET") {
		t.Errorf("a crawl of 90 paths is no flood:\n%s", stdout.String())
	}
}

// TestInsideIsNotHere: outside of a namespace of its own nothing is begun.
func TestInsideIsNotHere(t *testing.T) {
	err := inside(t.Context(), []string{"-dir", t.TempDir()}, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "this is not a network namespace of its own: ") {
		t.Errorf("err = %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-interfaces", "-1"}, {"more"}, {"-x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, tc := range []struct {
		name   string
		crawls []crawl
		met    bool
		says   string
	}{
		{"below", []crawl{{Peak: 1023}, {Peak: 5}, {Config: 1, Peak: 5000}}, true, "1023"},
		{"at the limit", []crawl{{Peak: 5}, {Peak: 1024}}, false, "1024"},
		{"not measured", nil, false, "0"},
	} {
		if got := (outcome{crawls: tc.crawls}).targets(); len(got) != 1 || got[0].Met != tc.met || got[0].Measured != tc.says {
			t.Errorf("%s: %+v, want met %t, %s", tc.name, got, tc.met, tc.says)
		}
	}
}
