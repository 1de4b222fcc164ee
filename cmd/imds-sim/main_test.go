// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
			"await":  await,
			"ask":    ask,
			"become": become,
			"absent": absent,
			"term":   term,
		},
	})
}

// await FILE waits until the file exists, for 10 s at most.
func await(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for bound := time.Now().Add(10 * time.Second); time.Now().Before(bound); <-tick.C {
		if _, err := os.Stat(name); err == nil {
			return
		}
	}
	ts.Fatalf("%s does not exist after 10s", args[0])
}

// term sends SIGTERM to the programs that run in the background.
func term(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// ask URLFILE PATH STATUS BODY gets a path with a new token and checks the answer.
func ask(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := answer(ts, args), args[2]+" "+args[3]; got != want {
		ts.Fatalf("%s: %q, want %q", args[1], got, want)
	}
}

// absent URLFILE PATH wants a 404.
func absent(ts *testscript.TestScript, _ bool, args []string) {
	if got := answer(ts, args); !strings.HasPrefix(got, "404 ") {
		ts.Fatalf("%s: %q, want 404", args[1], got)
	}
}

// become URLFILE PATH STATUS BODY repeats ask until the answer is right, for 10 s
// at most.
func become(ts *testscript.TestScript, _ bool, args []string) {
	for bound := time.Now().Add(10 * time.Second); answer(ts, args) != args[2]+" "+args[3]; {
		if time.Now().After(bound) {
			ts.Fatalf("%s is not %s after 10s", args[1], args[2:])
		}
	}
}

// answer returns the status and body of a path.
func answer(ts *testscript.TestScript, args []string) string {
	status, body, err := get(strings.Fields(ts.ReadFile(args[0]))[0], args[1])
	ts.Check(err)
	return fmt.Sprint(status, " ", body)
}

// get gets a path from a simulator on loopback.
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

// Errors of the command line, and their exit codes. None of these commands gets
// as far as to wait.
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
		{"argument", []string{"refuse:2s"}, 64, `unexpected argument "refuse:2s"`},
		{"schedule", []string{"--schedule", "refse"}, 64, `--schedule: parsing schedule: phase 1, "refse": unknown fault`},
		{"also", []string{"--also", "ok", "--also", "refuse:2"}, 64, "--also: parsing schedule: "},
		{"latency", []string{"--latency", "5"}, 64, "invalid argument \"5\" for \"--latency\""},
		{"negative latency", []string{"--latency", "-5s"}, 64, "must be 0s or more"},
		{"negative lifetime", []string{"--token-lifetime", "-5s"}, 64, "must be 0s or more"},
		{"late", []string{"--late", "meta-data/tags"}, 64, `--late "meta-data/tags": must be PATH=DURATION`},
		{"late without path", []string{"--late", "=5s"}, 64, "must be PATH=DURATION"},
		{"late without unit", []string{"--late", "x=5"}, 64, "must be PATH=DURATION"},
		{"gone", []string{"--gone", "meta-data/tags=-1s"}, 64, `--gone "meta-data/tags=-1s": must be PATH=DURATION`},
		{"change without value", []string{"--change", "x=5s"}, 64, `--change "x=5s": must be PATH=DURATION=VALUE`},
		{"change without time", []string{"--change", "x=v=w"}, 64, "must be PATH=DURATION=VALUE"},
		{"change without path", []string{"--change", "=5s=v"}, 64, "must be PATH=DURATION=VALUE"},
		{"base path", []string{"--base-path", "base"}, 64, "must begin with a slash"},
		{"base path's end", []string{"--base-path", "/base/"}, 64, "not end with one"},
		{"tree of numbers", []string{"--tree", bad}, 65, "bad.json: parsing tree: "},
		{"printed tree of numbers", []string{"--tree", bad, "--print-tree"}, 65, "byte 7: /a: must be a string"},
		{"missing tree", []string{"--tree", dir + "/none"}, 66, "reading --tree: open "},
		{"address", []string{"--listen", "nowhere"}, 69, "listening on nowhere: must be IP:PORT"},
		{"second address", []string{"--listen", here, "--listen", "example.test:1"}, 69, "listening on example.test:1"},
		{"phase that is impossible on a socket", []string{"--listen", here, "--schedule", "refusex2"}, 69, "a count of connections is possible in process only"},
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
			if hint := strings.Contains(stderr.String(), "hint: imds-sim --help"); hint != (tt.code == 64) {
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
		t.Errorf("not indented or escaped: %.300s", stdout.String())
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
	for _, want := range []string{imdstest.ScheduleHelp, "--late PATH=D", "--change PATH=D=VALUE", "64 usage", "refuse:2s,503:1s,ok"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in %s", want, stdout.String())
		}
	}
	for line := range strings.Lines(stdout.String()[:strings.Index(stdout.String(), "Flags:")]) {
		if len(line) > 90 {
			t.Errorf("too wide for a terminal: %q", line)
		}
	}
}
