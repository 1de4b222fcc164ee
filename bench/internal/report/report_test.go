// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	met := Target{Name: "time", Limit: "60 %", Measured: "45 %", Met: true}
	missed := Target{Name: "memory", Limit: "16 MiB", Measured: "17 MiB"}
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
	met, missed := Target{Name: "time", Met: true}, Target{Name: "memory"}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "text\n")
		return err
	}
	for _, tc := range []struct {
		name    string
		args    []string
		targets []Target
		err     error
	}{
		{"to stdout alone", nil, nil, nil},
		{"to a file too", []string{"-out", file}, []Target{met}, nil},
		{"a missed target is told", nil, []Target{met, missed}, nil},
		{"and is an error", []string{"-out", file, "-enforce"}, []Target{met, missed}, ErrMissed},
		{"but a met one is not", []string{"-enforce"}, []Target{met}, nil},
		{"a file that cannot be", []string{"-out", "/nonexistent/x.md"}, nil, fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			os.Remove(file)
			var o Options
			flags := flag.NewFlagSet("", flag.ContinueOnError)
			o.Flags(flags, true)
			if err := flags.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			var stdout strings.Builder
			if err := o.Deliver(&stdout, write, tc.targets); !errors.Is(err, tc.err) {
				t.Errorf("err = %v, want %v", err, tc.err)
			}
			b, err := os.ReadFile(file)
			if asked := slices.Contains(tc.args, file); asked != (err == nil) || asked && string(b) != "text\n" {
				t.Errorf("the file has %q, %v", b, err)
			}
			if stdout.String() != "text\n" {
				t.Errorf("stdout %q", stdout.String())
			}
		})
	}
	broken := errors.New("broken")
	if err := (Options{}).Deliver(io.Discard, func(io.Writer) error { return broken }, nil); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
}

// A benchmark without targets has nothing to enforce.
func TestFlags(t *testing.T) {
	for _, targets := range []bool{false, true} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		new(Options).Flags(flags, targets)
		if got := flags.Lookup("enforce") != nil; got != targets || flags.Lookup("out") == nil {
			t.Errorf("-enforce: %t, want %t", got, targets)
		}
	}
}
