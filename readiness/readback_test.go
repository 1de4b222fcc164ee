// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// schemas are compiled once: that is most of what a short test costs.
var schemas = sync.OnceValue(func() schematest.Schemas { return schematest.Load(loader{}) })

// loader is nobody's test; what Load does not find, stops them all.
type loader struct{ testing.TB }

func (loader) Helper()           {}
func (loader) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// wrong notes what no run may do.
func (tr *trial) wrong(format string, args ...any) {
	tr.faults = append(tr.faults, fmt.Sprintf(format, args...))
}

// readBack reads the status and holds what is true of every run: each JSON file
// is valid by its schema, no temporary is left, no token is in any file,
// datagram or log line, and exit code, state and READY=1 say the same.
func (tr *trial) readBack() {
	var err error
	tr.status, err = snapshot.ReadStatus(tr.dir)
	everything := tr.log
	for _, n := range tr.notes {
		everything += n.state
	}
	entries, _ := os.ReadDir(tr.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.Name() != ".lock" && e.Type().IsRegular() {
			tr.wrong("a temporary file is left: %s", e.Name())
		}
		data, err := os.ReadFile(filepath.Join(tr.dir, e.Name()))
		if err != nil {
			continue // planted by the test
		}
		everything += string(data)
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if err := schemas().Validate(e.Name(), data); err != nil {
			tr.wrong("%v\n%s", err, data)
		}
	}
	if tr.sim != nil {
		for _, token := range tr.sim.Tokens() {
			if strings.Contains(everything, token) {
				tr.wrong("a token leaked")
			}
		}
	}
	tr.checkDatagrams()
	if err == nil && tr.status.PID == nil { // ours, not another daemon's
		tr.checkStatus()
	}
}

// checkStatus holds the final status.json against the exit code.
func (tr *trial) checkStatus() {
	st := tr.status
	green := slices.Contains([]string{snapshot.Ready, snapshot.Degraded, snapshot.Skipped}, st.State)
	if green != (tr.exit == readiness.ExitOK) {
		tr.wrong("state %q and exit code %d", st.State, tr.exit)
	}
	if st.ExitCode == nil || *st.ExitCode != int(tr.exit) {
		tr.wrong("exit_code %v, and the daemon's is %d", st.ExitCode, tr.exit)
	}
	if (st.ReadyAt != nil) != green {
		tr.wrong("state %q and ready_at %v", st.State, st.ReadyAt)
	}
	if st.BootID != bootID || st.Version != "1.2.3" || st.StartedAt == nil || st.UpdatedAt == nil {
		tr.wrong("status %+v", st)
	}
	if st.Requests != tr.client.Requests() {
		tr.wrong("status has %d requests, the client made %d", st.Requests, tr.client.Requests())
	}
	for name := range st.Files {
		if _, err := os.Lstat(filepath.Join(tr.dir, name)); err != nil {
			tr.wrong("status lists a file that is not there: %v", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(tr.dir, snapshot.EnvFile)); green && err != nil {
		tr.wrong("READY=1 without imds.env: %v", err)
	}
}

// checkDatagrams wants READY=1 once, last, with STATUS= in the same datagram,
// and only when the exit code is 0; no line that is not an assignment.
func (tr *trial) checkDatagrams() {
	ready := 0
	for i, n := range tr.notes {
		lines := strings.Split(n.state, "\n")
		for _, line := range lines {
			key, value, ok := strings.Cut(line, "=")
			if !ok || value == "" || key != strings.ToUpper(key) {
				tr.wrong("datagram %q has the line %q", n.state, line)
			}
		}
		if !slices.Contains(lines, "READY=1") || n.err != nil {
			continue
		}
		ready++
		if i != len(tr.notes)-1 || !strings.Contains(n.state, "\nSTATUS=") {
			tr.wrong("READY=1 in datagram %d of %d: %q", i+1, len(tr.notes), n.state)
		}
	}
	want := 0
	if tr.exit == readiness.ExitOK {
		want = 1
	}
	if ready != want {
		tr.wrong("READY=1 was sent %d times with exit code %d", ready, tr.exit)
	}
}

// trace is the requests, one a line, without connection attempts that worked.
func (tr *trial) trace() []string {
	var lines []string
	for _, r := range tr.sim.Trace() {
		if r.Kind != "SYN" || r.Fault != "" {
			lines = append(lines, r.String())
		}
	}
	return lines
}

// asked are the paths that were asked for, in order, the token's left out.
func (tr *trial) asked() []string {
	var paths []string
	for _, r := range tr.sim.Requests() {
		if r.Kind != "PUT" {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

// said are the STATUS= texts in order.
func (tr *trial) said() []string {
	var texts []string
	for _, n := range tr.notes {
		for line := range strings.SplitSeq(n.state, "\n") {
			if text, ok := strings.CutPrefix(line, "STATUS="); ok {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// logged are the lines of the log at a level such as INFO.
func (tr *trial) logged(level string) []string {
	var lines []string
	for line := range strings.Lines(tr.log) {
		if strings.Contains(line, " level="+level+" ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// file is a file's content; the test ends without it.
func (tr *trial) file(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.dir, name))
	if err != nil {
		t.Fatalf("%v\n%s", err, tr.log)
	}
	return string(data)
}

// object is a JSON file as a map.
func (tr *trial) object(t testing.TB, name string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(tr.file(t, name)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// names are the files of the directory except the lock, sorted.
func (tr *trial) names(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(tr.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != ".lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

// lastClass is last_error's class, "" when there is none.
func (tr *trial) lastClass() string {
	if tr.status.LastError == nil {
		return ""
	}
	return tr.status.LastError.Class
}
