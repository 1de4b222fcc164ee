// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// Every status is printed as at most 15 aligned lines of plain text.
func TestStatusTextIsShort(t *testing.T) {
	now := time.Now()
	many := map[string]string{}
	required := map[string]snapshot.Requirement{}
	errs := map[string]int{}
	for i := range 4000 {
		many[fmt.Sprintf("meta-data/%04d\n\x1b[31m", i)] = "503"
		required[fmt.Sprintf("meta-data/required/%04d", i)] = snapshot.Requirement{}
		errs[fmt.Sprint("class-", i)] = i
	}
	for _, state := range []string{snapshot.Waiting, snapshot.Ready, snapshot.Degraded, snapshot.Skipped, snapshot.Failed} {
		t.Run(state, func(t *testing.T) {
			var buf bytes.Buffer
			(&statusText{sameHost: true, dir: "/d\n", unit: "refused\n", st: snapshot.Status{
				State: state, Attempts: 1, Errors: errs, Missing: many, Required: required, Generation: 3, PID: new(os.Getpid()),
				StartedAt: &now, UpdatedAt: &now, DeadlineAt: &now, Endpoint: new("http://\x1b]0;x\x07"),
				LastError: &snapshot.LastError{At: now, Class: "503", Message: "a\nb\u2028c", Hint: "d\r\ne", Path: "p"},
			}}).print(&buf)
			text := buf.String()
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if len(lines) > 15 || strings.ContainsAny(text, "\x1b\x07\r\u2028") {
				t.Errorf("%d lines: %q", len(lines), text)
			}
			for _, line := range lines {
				if label, value, ok := strings.Cut(line, ":"); !ok || len(label) > 17 || line[20] == ' ' || line[19] != ' ' || value == "" {
					t.Errorf("%q is not aligned", line)
				}
			}
			if !strings.Contains(text, "4000: meta-data/0000") || !strings.Contains(text, "and 3996 more") {
				t.Error(text)
			}
		})
	}
	// Paths for which status.json has no room are counted.
	var buf bytes.Buffer
	(&statusText{st: snapshot.Status{State: snapshot.Ready, Missing: map[string]string{"a": "503"}, MissingMore: 7}}).print(&buf)
	if want := "optional, missing:  8: a (503) and 7 more\n"; !strings.Contains(buf.String(), want) {
		t.Errorf("%q, want %q", buf.String(), want)
	}
	// The reason for skipping, in the words of the error.
	buf.Reset()
	(&statusText{st: snapshot.Status{State: snapshot.Skipped, LastError: &snapshot.LastError{Class: "not-ec2", Message: "m", Hint: "h"}}}).print(&buf)
	if want := "reason:    not-ec2: m\nhint:      h\n"; !strings.HasSuffix(buf.String(), want) {
		t.Errorf("%q does not end with %q", buf.String(), want)
	}
	buf.Reset()
	(&statusText{st: snapshot.Status{State: snapshot.Waiting}}).print(&buf)
	if want := "state:     waiting\nwaited:    0 s\nattempts:  0 (0 requests in all)\nendpoint:  none has answered\n" +
		"files:     no metadata in\n"; buf.String() != want {
		t.Errorf("an empty status is %q", buf.String())
	}
}

// A required path that was not requested may still be requested only while the gate waits.
func TestNotTried(t *testing.T) {
	for state, want := range map[string]string{
		snapshot.Waiting: "p (not tried yet)\n", snapshot.Skipped: "p (not tried)\n", snapshot.Failed: "p (not tried)\n",
	} {
		var buf bytes.Buffer
		(&statusText{st: snapshot.Status{State: state, Required: map[string]snapshot.Requirement{"p": {}}}}).print(&buf)
		if !strings.Contains(buf.String(), "required, missing:  "+want) {
			t.Errorf("%s: %q lacks %q", state, buf.String(), want)
		}
	}
}

// Watched paths that cannot be written are not called unanswered.
func TestStatusTextOfWatch(t *testing.T) {
	var buf bytes.Buffer
	now := time.Now()
	(&statusText{st: snapshot.Status{State: snapshot.Ready}, watch: &snapshot.WatchStatus{
		PID: os.Getpid(), StartedAt: now, UpdatedAt: now, Paths: map[string]snapshot.WatchedPath{
			"a": {Present: true, LastAnswerAt: &now}, "b": {Class: new("cannot-write"), LastAnswerAt: &now}, "c": {Class: new("503")},
		},
	}}).print(&buf)
	if want := "watched, present:    a\nwatched, no answer:  c (503)\nwatched, unwritten:  b\n"; !strings.HasSuffix(buf.String(), want) {
		t.Errorf("%q does not end with %q", buf.String(), want)
	}
}

// The exit code is valid even if that in the file is not.
func TestFailureCode(t *testing.T) {
	for _, tt := range []struct {
		code *int
		want int
	}{{nil, 1}, {new(0), 1}, {new(-1), 1}, {new(256), 1}, {new(75), 75}, {new(143), 143}, {new(255), 255}} {
		if got := failureCode(snapshot.Status{ExitCode: tt.code}); got != tt.want {
			t.Errorf("%d, want %d", got, tt.want)
		}
	}
}
