// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// TestMain lets testscript run the program as a process of its own, with real
// signals and exit codes.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"imds-sim": main})
}

// leakChecked runs the tests and then looks for goroutines.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await,
			"ask":   ask,
		},
	})
}

// await FILE waits until the file is there, for 10 s at most.
func await(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for bound := time.Now().Add(10 * time.Second); time.Now().Before(bound); <-tick.C {
		if _, err := os.Stat(name); err == nil {
			return
		}
	}
	ts.Fatalf("%s is not there after 10s", args[0])
}

// ask URLFILE PATH STATUS BODY gets a path, with a token of its own.
func ask(ts *testscript.TestScript, _ bool, args []string) {
	urls := strings.Fields(ts.ReadFile(args[0]))
	status, body, err := get(urls[0], args[1])
	ts.Check(err)
	if fmt.Sprint(status) != args[2] || body != args[3] {
		ts.Fatalf("%s: %d %q, want %s %q", args[1], status, body, args[2], args[3])
	}
}

// get asks a simulator on loopback.
func get(url, path string) (status int, body string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	do := func(method, path, header, value string) (int, string, error) {
		req, err := http.NewRequest(method, url+"/latest/"+path, nil)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set(header, value)
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	status, token, err := do(http.MethodPut, "api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	if err != nil || status != http.StatusOK {
		return status, "", err
	}
	return do(http.MethodGet, path, "X-aws-ec2-metadata-token", token)
}

// What is wrong with the command line, and with which exit code it ends. None
// of these gets as far as to wait.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"a": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	here := "127.0.0.1:0"
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"flag", []string{"--nope"}, 64, "unknown flag: --nope"},
		{"argument", []string{"refuse:2s"}, 64, `unknown command "refuse:2s"`},
		{"schedule", []string{"--schedule", "refse"}, 64, `--schedule: parsing schedule: phase 1, "refse": unknown fault`},
		{"also", []string{"--also", "ok", "--also", "refuse:2"}, 64, "--also: parsing schedule: "},
		{"latency", []string{"--latency", "5"}, 64, "invalid argument \"5\" for \"--latency\""},
		{"negative latency", []string{"--latency", "-5s"}, 64, "0s or more are legal"},
		{"negative lifetime", []string{"--token-lifetime", "-5s"}, 64, "0s or more are legal"},
		{"late", []string{"--late", "meta-data/tags"}, 64, `--late "meta-data/tags": write PATH=DURATION`},
		{"late without path", []string{"--late", "=5s"}, 64, "write PATH=DURATION"},
		{"late without unit", []string{"--late", "x=5"}, 64, "write PATH=DURATION"},
		{"base path", []string{"--base-path", "base"}, 64, "begin with a slash"},
		{"base path's end", []string{"--base-path", "/base/"}, 64, "end with none"},
		{"tree that is none", []string{"--tree", bad}, 65, "bad.json: parsing tree: "},
		{"printed tree that is none", []string{"--tree", bad, "--print-tree"}, 65, "/a: 1 instead of a string"},
		{"tree that is not there", []string{"--tree", dir + "/none"}, 66, "reading --tree: open "},
		{"address", []string{"--listen", "nowhere"}, 69, "listening on nowhere: not HOST:PORT"},
		{"second address", []string{"--listen", here, "--listen", "example.test:1"}, 69, "listening on example.test:1"},
		{"phase that a socket cannot do", []string{"--listen", here, "--schedule", "refusex2"}, 69, "a count is possible in process only"},
		{"log", []string{"--listen", here, "--log", dir + "/none/log"}, 73, "creating --log: open "},
		{"URL file", []string{"--listen", here, "--url-file", dir + "/none/url"}, 73, "creating --url-file: open "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			code := run(ctx, tt.args, strings.NewReader(""), &stdout, &stderr)
			if code != tt.code || !strings.Contains(stderr.String(), tt.want) || !strings.HasPrefix(stderr.String(), "imds-sim: ") {
				t.Errorf("exit %d, stderr %q; want %d and %q", code, stderr.String(), tt.code, tt.want)
			}
			if hint := strings.Contains(stderr.String(), "--help tells"); hint != (tt.code == 64) {
				t.Errorf("stderr %q", stderr.String())
			}
		})
	}
}

func TestPrintTree(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--print-tree"}, nil, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d, %s", code, stderr.String())
	}
	if !strings.Contains(stdout.String(), "\n    \"ami-id\": ") || strings.Contains(stdout.String(), `\u0026`) {
		t.Errorf("not for people: %.300s", stdout.String())
	}
	printed := stdout.String()
	tree, err := imdstest.ParseTree(strings.NewReader(printed))
	if err != nil || !maps.Equal(tree, imdstest.DefaultTree()) {
		t.Errorf("read back as %d paths, %v", len(tree), err)
	}
	stdout.Reset()
	if code := run(t.Context(), []string{"--print-tree", "--tree", "-"}, strings.NewReader(printed), &stdout, &stderr); code != 0 || stdout.String() != printed {
		t.Errorf("exit %d, not the same again: %.300s", code, stdout.String())
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit %d, %s", code, stderr.String())
	}
	for _, want := range []string{imdstest.ScheduleHelp, "--late PATH=D", "64 usage", "refuse:2s,503:1s,ok"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in %s", want, stdout.String())
		}
	}
	for line := range strings.Lines(stdout.String()[:strings.Index(stdout.String(), "Flags:")]) {
		if len(line) > 93 {
			t.Errorf("too wide for a terminal: %q", line)
		}
	}
}

// serving runs the program until the test calls the function returned, which
// gives its exit code and its output.
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

// checkLog wants JSON lines that begin so, and so many of them.
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

// A log that cannot be written is told once, and the simulator goes on.
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

// A reader of the log that stopped reading does not keep the program alive.
func TestLogBlocks(t *testing.T) {
	stuck := make(stuckWriter)
	s := imdstest.New(nil)
	s.OnRequest = (&lines{w: stuck, stderr: io.Discard}).request
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go get(url, "user-data") //nolint:errcheck // it fails, by design
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

// stuckWriter says that it is in Write by receiving, and stays until it is
// closed.
type stuckWriter chan struct{}

func (w stuckWriter) Write(b []byte) (int, error) {
	for range w {
	}
	return len(b), nil
}
