// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// logTime returns when a line was logged, from the start of the run.
func (tr *trial) logTime(t testing.TB, line string) time.Duration {
	t.Helper()
	text, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Sub(tr.start.Truncate(time.Millisecond))
}

// field returns the value of a key in a line, without quotes.
func field(line, key string) string {
	_, rest, ok := strings.Cut(line, " "+key+"=")
	if !ok {
		return ""
	}
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		value, _ := strconv.Unquote(quoted) // it is quoted
		return value
	}
	value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return value
}

// A boot that succeeds logs at most six lines and no warning, whatever is retried.
func TestLogOfAGoodBoot(t *testing.T) {
	tr := faulty(t, "unreachablex6,refusex7,blackholex2,503x5,ok").run(t)
	if info := tr.logged("INFO"); len(info) > 6 || len(info) < 3 {
		t.Errorf("%d lines: %q", len(info), info)
	}
	if n := len(tr.logged("WARN")) + len(tr.logged("ERROR")); n != 0 || tr.exit != 0 {
		t.Errorf("exit %d, %d warnings and errors", tr.exit, n)
	}
	last := tr.logged("INFO")
	if msg := field(last[len(last)-1], "msg"); !strings.HasPrefix(msg, "ready in ") {
		t.Errorf("the last line is %q", msg)
	}
}

// A class is logged when it first occurs and then every ten seconds.
func TestLogEveryTenSeconds(t *testing.T) {
	tr := faulty(t, "refuse:35s,503:15s,ok").run(t)
	var got []string
	for _, line := range tr.logged("INFO") {
		if class := field(line, "class"); class != "" {
			got = append(got, tr.logTime(t, line).Truncate(time.Second).String()+" "+class)
		}
	}
	want := []string{
		"0s connection-refused", "10s connection-refused", "20s connection-refused", "30s connection-refused",
		"35s 503", "45s 503",
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// At level debug, every attempt is logged.
func TestLogDebug(t *testing.T) {
	tr := faulty(t, "refusex2,503x1,ok").run(t)
	var failures []string
	for _, line := range tr.logged("DEBUG") {
		if field(line, "class") != "" {
			failures = append(failures, line)
		}
	}
	if len(failures) != 3 {
		t.Fatalf("%d attempts in %q", len(failures), failures)
	}
	for key, want := range map[string]string{
		"attempt": "3", "class": "503", "path": "dynamic/instance-identity/document", "retry_in": "50ms", "elapsed": "150ms",
		"err": "PUT http://127.0.0.1:1338/latest/api/token: status 503",
	} {
		if got := field(failures[2], key); got != want {
			t.Errorf("%s=%q, want %q", key, got, want)
		}
	}
}

// The last line of a failure is an error with the class, the path, the hint, what ended
// the budget, and the last error.
func TestLogOfAFailure(t *testing.T) {
	tr := faulty(t, "403@put").run(t)
	lines := tr.logged("ERROR")
	if len(lines) != 1 || len(tr.logged("WARN")) != 0 {
		t.Fatalf("errors %q, warnings %q", lines, tr.logged("WARN"))
	}
	if !strings.HasSuffix(strings.TrimSpace(tr.log), lines[0]) {
		t.Error("the error is not the last line")
	}
	for key, want := range map[string]string{"class": "disabled", "path": "dynamic/instance-identity/document", "exit_code": "69", "elapsed": "0s"} {
		if got := field(lines[0], key); got != want {
			t.Errorf("%s=%q, want %q", key, got, want)
		}
	}
	for _, want := range []string{"not retried by the policy", "status 403", "after 1 attempt"} {
		if !strings.Contains(field(lines[0], "msg"), want) {
			t.Errorf("%q lacks %q", field(lines[0], "msg"), want)
		}
	}
	if hint := field(lines[0], "hint"); hint == "" || tr.status.LastError.Hint != hint {
		t.Errorf("hint %q, but last_error has %q", hint, tr.status.LastError.Hint)
	}
}

// The last line of a failure has the reason for giving up.
func TestLogReasons(t *testing.T) {
	for _, tt := range []struct {
		fault    string
		attempts int
		deadline time.Duration
		want     string
	}{
		{"503", 3, time.Minute, "max_attempts reached"},
		{"503", 0, 10 * time.Second, "deadline reached"},
		{"hang", 0, time.Second, "deadline reached"},
		{"hang", 1, time.Second, "deadline reached"}, // cut, although it was the last attempt
		{"400", 0, time.Minute, "not retried by the policy"},
	} {
		tr := faulty(t, tt.fault).limits(tt.attempts, tt.deadline).run(t)
		if lines := tr.logged("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], tt.want) {
			t.Errorf("%s: errors %q, want %q", tt.fault, lines, tt.want)
		}
	}
}

// Failures of optional paths are logged at level debug. The last line is a warning that
// names the missing paths, unless all of them are 404.
func TestLogOfTheCollection(t *testing.T) {
	tr := faulty(t, "503@meta-data/mac").run(t)
	warnings := tr.logged("WARN")
	if len(tr.logged("INFO")) > 1 || len(warnings) != 1 || field(warnings[0], "missing") != "1" ||
		!strings.Contains(warnings[0], "; missing: meta-data/mac (503)") {
		t.Errorf("info %q, warnings %q", tr.logged("INFO"), warnings)
	}
	tr = faulty(t, "404@meta-data/mac").run(t)
	if info := tr.logged("INFO"); len(info) > 2 || field(info[len(info)-1], "missing") != "1" || len(tr.logged("WARN")) != 0 {
		t.Errorf("info %q, warnings %q", info, tr.logged("WARN"))
	}
}
