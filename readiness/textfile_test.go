// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// withMetrics configures a textfile and returns a function that reads it.
func (tr *trial) withMetrics(t testing.TB) (read func() string) {
	t.Helper()
	tr.config.Textfile = filepath.Join(t.TempDir(), "imds_ready.prom")
	return func() string {
		data, err := os.ReadFile(tr.config.Textfile)
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
}

// atDatagram calls do before each datagram with a prefix.
func (tr *trial) atDatagram(prefix string, do func()) {
	tr.notify = func(state string) error {
		if strings.HasPrefix(state, prefix) {
			do()
		}
		return nil
	}
}

const waitingMetrics = `# HELP imds_ready_attempts Attempts to get a required path.
# TYPE imds_ready_attempts gauge
imds_ready_attempts 0
# HELP imds_ready_generation Successful collections of metadata in this boot.
# TYPE imds_ready_generation gauge
imds_ready_generation 0
# HELP imds_ready_missing Optional paths that could not be fetched.
# TYPE imds_ready_missing gauge
imds_ready_missing 0
# HELP imds_ready_requests Requests made, including those for tokens.
# TYPE imds_ready_requests gauge
imds_ready_requests 0
# HELP imds_ready_start_time_seconds When the wait began, in seconds since 1970.
# TYPE imds_ready_start_time_seconds gauge
imds_ready_start_time_seconds 946684800.000
# HELP imds_ready_state 1 for the state of the gate, 0 for every other.
# TYPE imds_ready_state gauge
imds_ready_state{state="degraded"} 0
imds_ready_state{state="failed"} 0
imds_ready_state{state="ready"} 0
imds_ready_state{state="skipped"} 0
imds_ready_state{state="waiting"} 1
`

// The file while the gate waits and before READY=1. The clock of the bubble begins at
// 2000-01-01. The final file is a fixture that test/metrics uses too.
func TestTextfile(t *testing.T) {
	tr := faulty(t, "refusex2,503@getx1,403@meta-data/ami-id")
	read := tr.withMetrics(t)
	var waiting, ready string
	tr.atDatagram("EXTEND_TIMEOUT_USEC=", func() {
		if waiting == "" { // before the first attempt
			waiting = read()
		}
	})
	first := tr.notify
	tr.notify = func(state string) error {
		if strings.HasPrefix(state, "READY=1") {
			ready = read()
		}
		return first(state)
	}
	tr.run(t)
	if waiting != waitingMetrics {
		t.Errorf("while it waits:\n%s\nwant:\n%s", waiting, waitingMetrics)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "imds_ready.prom"))
	if err != nil {
		t.Fatal(err)
	}
	if ready != string(want) || read() != ready {
		t.Errorf("at READY=1:\n%s\nat the end:\n%s\nwant:\n%s", ready, read(), want)
	}
	info, err := os.Lstat(tr.config.Textfile)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v, want 0644", info.Mode(), err)
	}
	wantAlone(t, tr.config.Textfile)
}

// wantAlone checks that a file is the only one in its directory.
func wantAlone(t testing.TB, file string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory of %s has %v, %v", file, entries, err)
	}
}

// The metrics of every way in which a run can end.
func TestTextfileOutcomes(t *testing.T) {
	const readyTime = "imds_ready_ready_time_seconds"
	for _, tt := range []struct {
		name, fault string
		set         func(*trial)
		state, exit string
		want        string // another line
		ready       bool
	}{
		{"ready", "", nil, "ready", "0", "imds_ready_generation 1", true},
		{"failed", "503", nil, "failed", "75", `imds_ready_errors{class="503"} 3`, false},
		{"not IMDS", "html@get", nil, "failed", "76", `imds_ready_errors{class="bad-response"} 3`, false},
		{"degraded", "refuse", func(tr *trial) { tr.config.OnTimeout = readiness.Continue }, "degraded", "0", `imds_ready_errors{class="connection-refused"} 3`, true},
		{"skipped", "", func(tr *trial) { tr.config.Disabled = true }, "skipped", "0", "imds_ready_requests 0", true},
		{"interrupted", "hang", func(tr *trial) { tr.signal(time.Second, syscall.SIGTERM) }, "failed", "143", "imds_ready_seconds 1.000", false},
		{"no files", "", func(tr *trial) { occupy(tr.dir, "identity.json") }, "failed", "77", "imds_ready_generation 0", false},
		{"no status", "", func(tr *trial) { occupy(tr.dir, "status.json") }, "failed", "77", "imds_ready_requests 0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).limits(3, time.Minute)
			read := tr.withMetrics(t)
			if tt.set != nil {
				tt.set(tr)
			}
			tr.run(t)
			text := "\n" + read()
			for _, line := range []string{`imds_ready_state{state="` + tt.state + `"} 1`, "imds_ready_exit_code " + tt.exit, tt.want} {
				if !strings.Contains(text, "\n"+line+"\n") {
					t.Errorf("no line %s in:\n%s", line, text)
				}
			}
			if got := strings.Contains(text, "\n"+readyTime+" 9"); got != tt.ready {
				t.Errorf("%s is there: %v, want %v", readyTime, got, tt.ready)
			}
			if w := tr.logged("WARN"); slices.ContainsFunc(w, func(s string) bool { return strings.Contains(s, "metrics") }) {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// occupy creates a directory with the name of a file, so that the file cannot be
// written.
func occupy(dir, name string) {
	if err := os.MkdirAll(filepath.Join(dir, name, "occupied"), 0o755); err != nil {
		panic(err) // callers in a table have no t
	}
}

// After a restart in the same boot, the state is waiting and the generation is kept.
func TestTextfileOfARestart(t *testing.T) {
	first := faulty(t, "").run(t)
	next := faulty(t, "hang")
	next.dir = first.dir
	read := next.withMetrics(t)
	seen := ""
	next.signal(time.Second, syscall.SIGTERM).atDatagram("STOPPING=1", func() { seen = read() })
	next.run(t)
	if !strings.Contains(seen, "generation 1\n") || !strings.Contains(seen, "state=\"waiting\"} 1\n") {
		t.Errorf("while the second run waits:\n%s", seen)
	}
	if first.config.Textfile != "" || slices.Contains(first.names(t), "imds_ready.prom") {
		t.Errorf("metrics without a configuration: %q", first.names(t))
	}
}

// The textfile may be in the directory of the other files.
func TestTextfileAmongTheFiles(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Textfile = filepath.Join(tr.dir, "imds_ready.prom")
	tr.run(t)
	if !strings.Contains(tr.file(t, "imds_ready.prom"), "state=\"ready\"} 1\n") || tr.exit != readiness.ExitOK {
		t.Errorf("exit %d, files %q", tr.exit, tr.names(t))
	}
	if _, listed := tr.status.Files["imds_ready.prom"]; listed || tr.status.State != snapshot.Ready {
		t.Errorf("status %+v", tr.status)
	}
}

// If another daemon uses the directory, no metrics are written.
func TestTextfileOfAnotherDaemon(t *testing.T) {
	tr := faulty(t, "")
	read := tr.withMetrics(t)
	holder, err := publish.OpenDir(tr.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	tr.run(t)
	if tr.exit != readiness.ExitTempFail || !strings.Contains(read(), "no such file") {
		t.Errorf("exit %d, metrics:\n%s", tr.exit, read())
	}
}

// If the metrics cannot be written, there is one warning with a hint. The outcome, the
// exit code and the requests are the same.
func TestTextfileCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(file string) error
		want  string
	}{
		{"no directory", func(f string) error { return os.Remove(filepath.Dir(f)) }, "no such file or directory"},
		{"a file instead of the directory", func(f string) error {
			return replaceWith(filepath.Dir(f), func(p string) error { return os.WriteFile(p, nil, 0o644) })
		}, "not a directory"},
		{"a dangling link instead of the directory", func(f string) error {
			return replaceWith(filepath.Dir(f), func(p string) error { return os.Symlink("nowhere", p) })
		}, "no such file or directory"},
		{"a directory instead of the file", func(f string) error { return os.MkdirAll(filepath.Join(f, "occupied"), 0o755) }, "file exists"},
		{"a directory instead of the temporary file", func(f string) error {
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
					!slices.Equal(slices.Sorted(slices.Values(tr.requestedPaths())), slices.Sorted(slices.Values(plain.requestedPaths()))) {
					t.Errorf("exit %d, state %s, want %d, %s", tr.exit, tr.status.State, plain.exit, plain.status.State)
				}
				if lines := tr.logged("WARN"); len(lines) != 1 || !strings.Contains(lines[0], tt.want) ||
					!strings.Contains(lines[0], tr.config.Textfile) || !strings.Contains(field(lines[0], "hint"), "ReadWritePaths=") {
					t.Errorf("warnings %q, want one with %q", lines, tt.want)
				}
				if len(tr.logged("ERROR")) != len(plain.logged("ERROR")) || len(plain.logged("WARN")) != 0 {
					t.Errorf("errors %q, warnings without metrics %q", tr.logged("ERROR"), plain.logged("WARN"))
				}
				if info, err := os.Lstat(temporaryOf(tr.config.Textfile)); err == nil && !info.IsDir() {
					t.Error("the temporary file remains")
				}
			})
		}
	}
}

// temporaryOf returns the temporary file of a textfile. It does not end in ".prom".
func temporaryOf(file string) string {
	return filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".tmp")
}

func replaceWith(path string, do func(string) error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return do(path)
}

// Existing files with either name are replaced. A link is not followed, so that it
// cannot make the daemon write to another file.
func TestTextfileReplacesWhatIsThere(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(at, elsewhere string) error
	}{
		{"an old file", func(at, _ string) error { return os.WriteFile(at, []byte("old"), 0o600) }},
		{"a link", func(at, elsewhere string) error { return os.Symlink(elsewhere, at) }},
		{"a dangling link", func(at, _ string) error { return os.Symlink("nowhere", at) }},
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
					t.Errorf("the target is now %q", got)
				}
				wantAlone(t, tr.config.Textfile)
			})
		}
	}
}

// A link to the directory is followed, because only the administrator can create it.
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

// If the directory disappears during the wait, there is one warning. If it appears
// during the wait, the final metrics are written.
func TestTextfileDirectoryComesAndGoes(t *testing.T) {
	for _, disappears := range []bool{true, false} {
		tr := faulty(t, "refuse:2s,ok")
		read := tr.withMetrics(t)
		dir := filepath.Dir(tr.config.Textfile)
		if !disappears {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}
		done := false
		tr.onLog = func(line string) {
			if done || !strings.Contains(line, "class=connection-refused") {
				return
			}
			done = true
			err := os.RemoveAll(dir)
			if !disappears {
				err = os.Mkdir(dir, 0o755)
			}
			if err != nil {
				t.Error(err)
			}
		}
		tr.run(t)
		if there := strings.Contains(read(), "state=\"ready\"} 1\n"); there == disappears || len(tr.logged("WARN")) != 1 || tr.exit != readiness.ExitOK {
			t.Errorf("disappears %v: exit %d, warnings %q, metrics:\n%s", disappears, tr.exit, tr.logged("WARN"), read())
		}
	}
}
