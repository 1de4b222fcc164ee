// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// expandTrace expands the short form of a trace: events separated by "; ", each followed by
// "@" and the times at which it happens. PUT is the token's, DOC is the GET of the identity
// document, and REQ that of the path required.
//
//	"PUT 200 @ 0s; DOC 503 @ 0s 50ms 150ms"
func expandTrace(spec string) []string {
	var lines []string
	for part := range strings.SplitSeq(spec, "; ") {
		event, times, _ := strings.Cut(strings.TrimSpace(part), " @ ")
		event = strings.NewReplacer("PUT", "PUT api/token", "DOC", "GET "+imds.IdentityPath,
			"REQ", "GET "+required).Replace(event)
		for at := range strings.FieldsSeq(times) {
			lines = append(lines, at+" "+event)
		}
	}
	return lines
}

// required is the path that most tests of required paths use.
const required = "meta-data/tags/instance/Name"

// wantTrace compares the complete trace.
func (tr *trial) wantTrace(t testing.TB, spec string) {
	t.Helper()
	if got, want := tr.trace(), expandTrace(spec); !slices.Equal(got, want) {
		t.Errorf("trace:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// want is the end of a run.
type want struct {
	exit     readiness.Exit
	state    string
	class    string // last_error's
	attempts int
	requests int
	errors   string // "503:2 read-timeout:1", sorted by class
	elapsed  time.Duration
}

// wantEnd compares the end of the run.
func (tr *trial) wantEnd(t testing.TB, w want) {
	t.Helper()
	got := want{tr.exit, tr.status.State, tr.lastClass(), tr.status.Attempts, tr.status.Requests, tr.errorCounts(), tr.elapsed}
	if got != w {
		t.Errorf("end:\n  %+v\nwant:\n  %+v", got, w)
	}
}

// errorCounts returns the errors of status.json in one line.
func (tr *trial) errorCounts() string {
	var counts []string
	for _, class := range slices.Sorted(maps.Keys(tr.status.Errors)) {
		counts = append(counts, fmt.Sprintf("%s:%d", class, tr.status.Errors[class]))
	}
	return strings.Join(counts, " ")
}

// expected returns the trace and the end of a row with a policy. If the policy does not
// retry the class, there is one attempt.
func (row answerRow) expected(policy, times string, attempts int, elapsed time.Duration) (string, want) {
	if !slices.Contains(strings.Split(row.retry, ", "), policy) {
		times, attempts, elapsed = " @ 0s", 1, 0
	}
	w := failedAlike(row.exit, row.class, attempts, elapsed)
	if strings.HasPrefix(row.event, "PUT") {
		return row.event + times, w
	}
	w.requests++ // the token
	return "PUT 200 @ 0s; " + row.event + times, w
}

// schemas are compiled once, because that takes most of the time of a short test.
var schemas = sync.OnceValue(func() schematest.Schemas { return schematest.Load(loader{}) })

// loader panics if the schemas cannot be loaded, because no single test loads them.
type loader struct{ testing.TB }

func (loader) Helper()           {}
func (loader) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// violation records a violation of the rules for every run.
func (tr *trial) violation(format string, args ...any) {
	tr.violations = append(tr.violations, fmt.Sprintf(format, args...))
}

// readBack reads the status and checks the rules for every run: each JSON file is valid by
// its schema, no temporary file remains, no token is in a file, a datagram or the log, and
// the exit code, the state and READY=1 agree.
func (tr *trial) readBack() {
	var err error
	tr.status, err = snapshot.ReadStatus(tr.dir)
	everything := tr.log
	for _, n := range tr.datagrams {
		everything += n.state
	}
	entries, _ := os.ReadDir(tr.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.Name() != ".lock" && e.Type().IsRegular() {
			tr.violation("a temporary file remains: %s", e.Name())
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
			tr.violation("%v\n%s", err, data)
		}
	}
	if tr.sim != nil {
		for _, token := range tr.sim.Tokens() {
			if strings.Contains(everything, token) {
				tr.violation("a token leaked")
			}
		}
	}
	tr.checkDatagrams()
	if err == nil && tr.status.PID == nil { // not the status of another daemon
		tr.checkStatus()
	}
}

// checkStatus compares the final status.json with the exit code.
func (tr *trial) checkStatus() {
	st := tr.status
	green := slices.Contains([]string{snapshot.Ready, snapshot.Degraded, snapshot.Skipped}, st.State)
	if green != (tr.exit == readiness.ExitOK) {
		tr.violation("state %q and exit code %d", st.State, tr.exit)
	}
	if st.ExitCode == nil || *st.ExitCode != int(tr.exit) {
		tr.violation("exit_code %v, but the daemon returned %d", st.ExitCode, tr.exit)
	}
	if (st.ReadyAt != nil) != green {
		tr.violation("state %q and ready_at %v", st.State, st.ReadyAt)
	}
	if st.BootID != bootID || st.Version != "1.2.3" || st.StartedAt == nil || st.UpdatedAt == nil {
		tr.violation("status %+v", st)
	}
	if st.Requests != tr.client.Requests() {
		tr.violation("status has %d requests, the client made %d", st.Requests, tr.client.Requests())
	}
	for name := range st.Files {
		if _, err := os.Lstat(filepath.Join(tr.dir, name)); err != nil {
			tr.violation("status.json lists a file that does not exist: %v", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(tr.dir, snapshot.EnvFile)); green && err != nil {
		tr.violation("READY=1 without imds.env: %v", err)
	}
}

// checkDatagrams checks that READY=1 is sent once if the exit code is 0, in the last
// datagram and with STATUS=, that the ERRNO= in the last datagram is that of the exit code,
// and that all lines are assignments.
func (tr *trial) checkDatagrams() {
	ready, errno := 0, ""
	for i, n := range tr.datagrams {
		if _, number, failed := strings.Cut(n.state, "\nERRNO="); failed {
			errno += number
			if i != len(tr.datagrams)-1 {
				tr.violation("ERRNO=%s in datagram %d of %d", number, i+1, len(tr.datagrams))
			}
		}
		lines := strings.Split(n.state, "\n")
		for _, line := range lines {
			key, value, ok := strings.Cut(line, "=")
			if !ok || value == "" || key != strings.ToUpper(key) {
				tr.violation("datagram %q has the line %q", n.state, line)
			}
		}
		if !slices.Contains(lines, "READY=1") || n.err != nil {
			continue
		}
		ready++
		if i != len(tr.datagrams)-1 || !strings.Contains(n.state, "\nSTATUS=") {
			tr.violation("READY=1 in datagram %d of %d: %q", i+1, len(tr.datagrams), n.state)
		}
	}
	want := 0
	if tr.exit == readiness.ExitOK {
		want = 1
	}
	if ready != want {
		tr.violation("READY=1 was sent %d times with exit code %d", ready, tr.exit)
	}
	if want := map[readiness.Exit]string{69: "19", 75: "110", 76: "71", 77: "13", 78: "22"}[tr.exit]; errno != want {
		tr.violation("ERRNO=%s, want %q with exit code %d", errno, want, tr.exit)
	}
}

// trace returns the requests, one per line, without successful connects.
func (tr *trial) trace() []string {
	var lines []string
	for _, r := range tr.sim.Trace() {
		if r.Kind != "SYN" || r.Fault != "" {
			lines = append(lines, r.String())
		}
	}
	return lines
}

// requestedPaths returns the requested paths in order, without that of the token.
func (tr *trial) requestedPaths() []string {
	var paths []string
	for _, r := range tr.sim.Requests() {
		if r.Kind != "PUT" {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

// statusTexts returns the STATUS= texts in order.
func (tr *trial) statusTexts() []string {
	var texts []string
	for _, n := range tr.datagrams {
		for line := range strings.SplitSeq(n.state, "\n") {
			if text, ok := strings.CutPrefix(line, "STATUS="); ok {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// logged returns the lines of the log at a level such as INFO.
func (tr *trial) logged(level string) []string {
	var lines []string
	for line := range strings.Lines(tr.log) {
		if strings.Contains(line, " level="+level+" ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// file returns the content of a file, and ends the test if it does not exist.
func (tr *trial) file(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.dir, name))
	if err != nil {
		t.Fatalf("%v\n%s", err, tr.log)
	}
	return string(data)
}

// object returns a JSON file as a map.
func (tr *trial) object(t testing.TB, name string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(tr.file(t, name)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// names returns the files of the directory except the lock, sorted.
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

// lastClass returns the class of last_error, or "" if there is no last_error.
func (tr *trial) lastClass() string {
	if tr.status.LastError == nil {
		return ""
	}
	return tr.status.LastError.Class
}
