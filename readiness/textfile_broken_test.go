// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/readiness"
)

// What keeps the metrics from being written is one warning, with what to do, and
// changes nothing: not the outcome, not the exit code, not a request.
func TestTextfileCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(file string) error
		want  string
	}{
		{"no directory", func(f string) error { return os.Remove(filepath.Dir(f)) }, "no such file or directory"},
		{"a file for a directory", func(f string) error {
			return replaceWith(filepath.Dir(f), func(p string) error { return os.WriteFile(p, nil, 0o644) })
		}, "not a directory"},
		{"a link to nowhere for a directory", func(f string) error {
			return replaceWith(filepath.Dir(f), func(p string) error { return os.Symlink("nowhere", p) })
		}, "no such file or directory"},
		{"a directory for the file", func(f string) error { return os.MkdirAll(filepath.Join(f, "occupied"), 0o755) }, "file exists"},
		{"a directory for the temporary", func(f string) error {
			return os.MkdirAll(filepath.Join(temporaryOf(f), "occupied"), 0o755)
		}, "directory not empty"},
	} {
		for _, fault := range []string{"", "400"} {
			t.Run(tt.name+" "+fault, func(t *testing.T) {
				plain := faulty(t, fault).run(t)
				tr := faulty(t, fault)
				tr.withMetrics(t)
				if err := tt.plant(tr.config.Textfile); err != nil {
					t.Fatal(err)
				}
				tr.run(t)
				if tr.exit != plain.exit || tr.status.State != plain.status.State || tr.elapsed != plain.elapsed ||
					!slices.Equal(slices.Sorted(slices.Values(tr.asked())), slices.Sorted(slices.Values(plain.asked()))) {
					t.Errorf("exit %d, state %s, want %d, %s", tr.exit, tr.status.State, plain.exit, plain.status.State)
				}
				if lines := tr.logged("WARN"); len(lines) != 1 || !strings.Contains(lines[0], tt.want) ||
					!strings.Contains(lines[0], tr.config.Textfile) || !strings.Contains(field(lines[0], "hint"), "ReadWritePaths=") {
					t.Errorf("warnings %q, want one with %q", lines, tt.want)
				}
				if len(tr.logged("ERROR")) != len(plain.logged("ERROR")) || len(plain.logged("WARN")) != 0 {
					t.Errorf("errors %q; without metrics, warnings %q", tr.logged("ERROR"), plain.logged("WARN"))
				}
				if info, err := os.Lstat(temporaryOf(tr.config.Textfile)); err == nil && !info.IsDir() {
					t.Error("the temporary is left")
				}
			})
		}
	}
}

// temporaryOf is beside the file and does not end in ".prom".
func temporaryOf(file string) string {
	return filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".tmp")
}

func replaceWith(path string, do func(string) error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return do(path)
}

// What others have put at either name is replaced, never followed: a link is not
// a way to have the daemon write elsewhere, or wait for a reader.
func TestTextfileReplacesWhatIsThere(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(at, elsewhere string) error
	}{
		{"an old file", func(at, _ string) error { return os.WriteFile(at, []byte("old"), 0o600) }},
		{"a link", func(at, elsewhere string) error { return os.Symlink(elsewhere, at) }},
		{"a link to nowhere", func(at, _ string) error { return os.Symlink("nowhere", at) }},
		{"a hard link", func(at, elsewhere string) error { return os.Link(elsewhere, at) }},
		{"a link to itself", func(at, _ string) error { return os.Symlink(at, at) }},
	} {
		for _, at := range []string{"imds_ready.prom", ".imds_ready.prom.tmp"} {
			t.Run(tt.name+" "+at, func(t *testing.T) {
				tr := faulty(t, "")
				read := tr.withMetrics(t)
				elsewhere := filepath.Join(tr.dir, "elsewhere")
				if err := os.WriteFile(elsewhere, []byte("precious"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := tt.plant(filepath.Join(filepath.Dir(tr.config.Textfile), at), elsewhere); err != nil {
					t.Fatal(err)
				}
				tr.run(t)
				if tr.exit != readiness.ExitOK || len(tr.logged("WARN")) != 0 || !strings.Contains(read(), "state=\"ready\"} 1\n") {
					t.Errorf("exit %d, warnings %q, metrics:\n%s", tr.exit, tr.logged("WARN"), read())
				}
				if info, err := os.Lstat(tr.config.Textfile); err != nil || info.Mode() != 0o644 {
					t.Errorf("%v, %v, want a regular file, 0644", info, err)
				}
				if got := tr.file(t, "elsewhere"); got != "precious" {
					t.Errorf("the file elsewhere is now %q", got)
				}
				wantAlone(t, tr.config.Textfile)
			})
		}
	}
}

// The link to the directory itself is the administrator's, and is followed.
func TestTextfileThroughALinkedDirectory(t *testing.T) {
	tr := faulty(t, "")
	read := tr.withMetrics(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(tr.config.Textfile), link); err != nil {
		t.Fatal(err)
	}
	real := tr.config.Textfile
	tr.config.Textfile = filepath.Join(link, "imds_ready.prom")
	if tr.run(t); len(tr.logged("WARN")) != 0 || !strings.Contains(read(), "state=\"ready\"} 1\n") {
		t.Errorf("warnings %q, metrics:\n%s", tr.logged("WARN"), read())
	}
	wantAlone(t, real)
}

// A directory that goes away during the wait is one warning, not two; one that
// comes during the wait has the final metrics, though the first had no place.
func TestTextfileDirectoryComesAndGoes(t *testing.T) {
	for _, goes := range []bool{true, false} {
		tr := faulty(t, "refuse:2s,ok")
		read := tr.withMetrics(t)
		dir := filepath.Dir(tr.config.Textfile)
		if !goes {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}
		once := false
		tr.onLog = func(line string) {
			if once || !strings.Contains(line, "class=connection-refused") {
				return
			}
			once = true
			err := os.RemoveAll(dir)
			if !goes {
				err = os.Mkdir(dir, 0o755)
			}
			if err != nil {
				t.Error(err)
			}
		}
		tr.run(t)
		if there := strings.Contains(read(), "state=\"ready\"} 1\n"); there == goes || len(tr.logged("WARN")) != 1 || tr.exit != readiness.ExitOK {
			t.Errorf("goes %v: exit %d, warnings %q, metrics:\n%s", goes, tr.exit, tr.logged("WARN"), read())
		}
	}
}
