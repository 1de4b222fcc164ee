// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"errors"
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

// withMetrics has the metrics written, and returns how to read them.
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

// atDatagram calls back before each datagram that begins so.
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

// The file as it is, while the gate waits and before systemd hears READY=1. The
// bubble's clock begins at 2000-01-01. The final one is a fixture: promtool
// looks at it too.
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

// wantAlone wants nothing else in the directory of the metrics.
func wantAlone(t testing.TB, file string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside %s: %v, %v", file, entries, err)
	}
}

// Every way a run ends is in the metrics.
func TestTextfileOutcomes(t *testing.T) {
	const readyTime = "imds_ready_ready_time_seconds"
	for _, tt := range []struct {
		name, fault string
		set         func(*trial)
		state, exit string
		want        string // one more line
		ready       bool
	}{
		{"ready", "", nil, "ready", "0", "imds_ready_generation 1", true},
		{"failed", "503", nil, "failed", "75", `imds_ready_errors{class="503"} 3`, false},
		{"foreign", "html@get", nil, "failed", "76", `imds_ready_errors{class="bad-response"} 3`, false},
		{"degraded", "refuse", func(tr *trial) { tr.config.OnTimeout = readiness.Continue }, "degraded", "0", `imds_ready_errors{class="connection-refused"} 3`, true},
		{"skipped", "", func(tr *trial) { tr.config.Disabled = true }, "skipped", "0", "imds_ready_requests 0", true},
		{"interrupted", "hang", func(tr *trial) { tr.signal(time.Second, syscall.SIGTERM) }, "failed", "143", "imds_ready_seconds 1.000", false},
		{"no files", "", func(tr *trial) { occupy(tr.dir, "identity.json") }, "failed", "77", "imds_ready_generation 0", false},
		{"no status", "", func(tr *trial) { occupy(tr.dir, "status.json") }, "failed", "77", "imds_ready_requests 0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).patience(3, time.Minute)
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

// occupy puts a directory where a file shall go.
func occupy(dir, name string) {
	if err := os.MkdirAll(filepath.Join(dir, name, "occupied"), 0o755); err != nil {
		panic(err) // the table has no t
	}
}

// A READY=1 that cannot be sent makes the metrics that were right wrong.
func TestTextfileWhenReadyFails(t *testing.T) {
	tr := faulty(t, "")
	read := tr.withMetrics(t)
	tr.notify = func(state string) error {
		if strings.HasPrefix(state, "READY=1") {
			return errors.New("sendto: connection refused")
		}
		return nil
	}
	tr.run(t)
	text := read()
	if !strings.Contains(text, "state=\"failed\"} 1\n") || !strings.Contains(text, "exit_code 1\n") || strings.Contains(text, "ready_time") {
		t.Errorf("metrics:\n%s", text)
	}
}

// A restart in the same boot counts on, and begins as waiting again.
func TestTextfileOfARestart(t *testing.T) {
	first := faulty(t, "").run(t)
	next := faulty(t, "hang")
	next.dir = first.dir
	read := next.withMetrics(t)
	seen := ""
	next.signal(time.Second, syscall.SIGTERM).atDatagram("STOPPING=1", func() { seen = read() })
	next.run(t)
	if !strings.Contains(seen, "generation 1\n") || !strings.Contains(seen, "state=\"waiting\"} 1\n") {
		t.Errorf("while the second waits:\n%s", seen)
	}
	if first.config.Textfile != "" || slices.Contains(first.names(t), "imds_ready.prom") {
		t.Errorf("metrics that nobody asked for: %q", first.names(t))
	}
}

// In the directory of the files itself: they do not get into each other's way.
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

// A broken configuration names no place for metrics, and another daemon's are
// not ours: nothing is written.
func TestTextfileThatIsNotOurs(t *testing.T) {
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
