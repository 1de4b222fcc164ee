// SPDX-License-Identifier: Apache-2.0

package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	met := Target{Name: "time", Limit: "60 %", Measured: "45 %", Met: true}
	missed := Target{Name: "memory", Limit: "16 MiB", Measured: "17 MiB"}
	for _, tc := range []struct {
		name    string
		targets []Target
		want    bool
	}{
		{"none", nil, false},
		{"met", []Target{met}, false},
		{"one missed", []Target{met, missed}, true},
	} {
		if got := Missed(tc.targets); got != tc.want {
			t.Errorf("%s: missed %t", tc.name, got)
		}
	}
	var b strings.Builder
	if err := WriteTargets(&b, []Target{met, missed}); err != nil {
		t.Fatal(err)
	}
	const want = `
| target | at most | measured |         |
| ------ | ------: | -------: | ------: |
| time   |    60 % |     45 % |     met |
| memory |  16 MiB |   17 MiB | NOT MET |
`
	if b.String() != want {
		t.Errorf("table:\n%swant:\n%s", b.String(), want)
	}
}

func TestHead(t *testing.T) {
	got := Head("Title", "go run ./x", []string{"-n", "3"})
	if !strings.HasPrefix(got, "# Title\n\n`go run ./x -n 3` in bench/, on ") || !strings.HasSuffix(got, ".\n") {
		t.Errorf("head %q", got)
	}
}

func TestDeliver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	var stdout strings.Builder
	if err := Deliver("text\n", &stdout, file); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "text\n" || stdout.String() != "text\n" {
		t.Errorf("file %q, %v; stdout %q", b, err, stdout.String())
	}
	if err := Deliver("text\n", &stdout, ""); err != nil || stdout.String() != "text\ntext\n" {
		t.Errorf("without a file: %v, %q", err, stdout.String())
	}
	if err := Deliver("text\n", &stdout, "/nonexistent/x.md"); err == nil || !strings.HasPrefix(err.Error(), "writing the report: ") {
		t.Errorf("err = %v", err)
	}
}
