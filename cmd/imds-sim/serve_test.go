// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// serving runs the program until the test calls the returned function, which
// returns the exit code and the output.
func serving(t *testing.T, stdin string, args ...string) (url string, end func() (code int, stdout, stderr string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, to := io.Pipe()
	var rest, stderr buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, strings.NewReader(stdin), to, &stderr)
		to.Close()
	}()
	first := make([]byte, 200)
	n, err := out.Read(first)
	if err != nil {
		t.Fatalf("no URL: %v, %s", err, stderr.String())
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(&rest, out)
	}()
	return strings.TrimSpace(string(first[:n])), func() (int, string, string) {
		cancel()
		select {
		case c := <-code:
			<-copied
			return c, rest.String(), stderr.String()
		case <-time.After(10 * time.Second):
			t.Fatal("still there 10s after its context ended")
			return 0, "", ""
		}
	}
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Every flag reaches the simulator.
func TestFlags(t *testing.T) {
	url, end := serving(t, `{"meta-data": {"a": "1", "b": "2", "0=c": "3"}}`,
		"--listen", "127.0.0.1:0", "--tree", "-", "--schedule", "404@meta-data/ax1", "--also", "500@meta-data/bx1",
		"--late", "meta-data/0=c=1h", "--latency", "20ms", "--base-path", "/base", "--log", "-")
	if !strings.HasPrefix(url, "http://127.0.0.1:") || !strings.HasSuffix(url, "/base") {
		t.Fatalf("URL %q", url)
	}
	start := time.Now()
	for _, want := range []struct {
		path   string
		status int
		body   string
	}{{"meta-data/a", 404, "*"}, {"meta-data/b", 500, "*"}, {"meta-data/a", 200, "1"}, {"meta-data/", 200, "a\nb"}} {
		status, body, err := get(url, want.path)
		if err != nil || status != want.status || want.body != "*" && body != want.body {
			t.Errorf("%s: %d %q, %v, want %d %q", want.path, status, body, err, want.status, want.body)
		}
	}
	if took := time.Since(start); took < 160*time.Millisecond {
		t.Errorf("eight requests took %v, with a latency of 20ms", took)
	}
	code, log, stderr := end()
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	checkLog(t, log, []string{"SYN   0", "PUT api/token  200", "SYN   0", "GET meta-data/a 404 404"}, 16)
}

// checkLog checks the number of JSON lines and how the first of them begin.
func checkLog(t *testing.T, log string, want []string, lines int) {
	t.Helper()
	got := strings.Split(strings.TrimSpace(log), "\n")
	if len(got) != lines {
		t.Fatalf("%d lines, want %d: %s", len(got), lines, log)
	}
	last := -1.0
	for i, line := range got {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || len(entry) != 8 {
			t.Fatalf("line %q: %v, want 8 keys", line, err)
		}
		at, _ := entry["at"].(float64)
		if _, err := time.Parse(time.RFC3339, entry["time"].(string)); err != nil || at < last {
			t.Errorf("line %q: times %v after %v, %v", line, at, last, err)
		}
		last = at
		if text := fmt.Sprint(entry["kind"], " ", entry["path"], " ", entry["fault"], " ", entry["status"]); i < len(want) && text != want[i] {
			t.Errorf("line %d is %q, want %q", i+1, text, want[i])
		}
		if entry["token"].(bool) != (entry["kind"] == "GET") || !strings.HasPrefix(entry["addr"].(string), "127.0.0.1:") {
			t.Errorf("line %q: wrong token or address", line)
		}
		if strings.Contains(line, "AQAEA") {
			t.Errorf("a token in the log: %q", line)
		}
	}
}

// A log that cannot be written is reported once, and the simulator continues.
func TestLogFails(t *testing.T) {
	var stderr bytes.Buffer
	log := &lines{w: failing{}, stderr: &stderr}
	log.request(imdstest.Request{})
	log.request(imdstest.Request{})
	if stderr.String() != "imds-sim: writing log: disk full\n" {
		t.Errorf("stderr %q", stderr.String())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A reader of the log that stops reading does not keep the program alive.
func TestLogBlocks(t *testing.T) {
	stuck := make(stuckWriter)
	s := imdstest.New(nil)
	s.OnRequest = (&lines{w: stuck, stderr: io.Discard}).request
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go get(url, "user-data") //nolint:errcheck // it fails, as intended
	stuck <- struct{}{}      // a request is being logged
	start := time.Now()
	if err := closeSoon(s); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("closeSoon = %v after %v", err, time.Since(start))
	}
	close(stuck)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// stuckWriter stays in Write, where it receives, until it is closed.
type stuckWriter chan struct{}

func (w stuckWriter) Write(b []byte) (int, error) {
	for range w {
	}
	return len(b), nil
}
