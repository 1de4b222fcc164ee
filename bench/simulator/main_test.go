// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// ask makes one request and returns the status.
func ask(t *testing.T, method, url string) int {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), method, url, nil)
	req.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestRun(t *testing.T) {
	questions, in := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run([]string{
			"-schedule", "503@putx1", "-schedule", "500@meta-data/mac", "-latency", "5ms", "-listen", "127.0.0.1:0", "-listen", "127.0.0.2:0",
		}, questions, answers)
		answers.Close()
	}()
	lines := json.NewDecoder(bufio.NewReader(out))
	var hello sim.Hello
	if err := lines.Decode(&hello); err != nil {
		t.Fatalf("%v; run: %v", err, <-done)
	}
	if now := sim.Monotonic(time.Now()); hello.Start > now || hello.Start < now-10 || hello.Latency < 0.004 || hello.Latency > 10 {
		t.Errorf("hello %+v at %v", hello, now)
	}
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} { // as the schedule says
		if status := ask(t, "PUT", hello.URL+"/latest/api/token"); status != want {
			t.Errorf("PUT: %d, want %d", status, want)
		}
	}
	asked := time.Now()
	if status := ask(t, "GET", hello.URL+"/latest/meta-data/instance-id"); status != http.StatusUnauthorized || time.Since(asked) < 4*time.Millisecond {
		t.Errorf("GET: %d after %v, want 401, held back by 5 ms", status, time.Since(asked))
	}
	if status := ask(t, "GET", hello.URL+"/latest/meta-data/mac"); status != http.StatusInternalServerError || !strings.HasPrefix(hello.URL, "http://127.0.0.1:") {
		t.Errorf("GET under the second schedule: %d from %s, want 500 from the first address", status, hello.URL)
	}
	for _, want := range []sim.Counts{{PUTs: 2, GETs: 2, Peak: 4}, {}} {
		var got sim.Counts
		_, failed := io.WriteString(in, "counts\n")
		if err := lines.Decode(&got); err != nil || failed != nil || got != want {
			t.Errorf("counts %+v, %v, want %+v", got, err, want)
		}
	}
	in.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-schedule refused:1s": "-schedule: ",
		"-no-such-flag":        "flag provided but not defined",
		"-listen 192.0.2.9:0":  "listening on 192.0.2.9:0: ", // outside loopback
		"-schedule blocked:1s": "in process only",
	} {
		if err := run(strings.Fields(args), strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want %q", args, err, want)
		}
	}
}

func TestGrow(t *testing.T) {
	tree := imdstest.DefaultTree()
	grown, macs := grow(tree, 300), 0
	for path, body := range grown {
		if dir, ok := strings.CutSuffix(path, "/mac"); ok && strings.Contains(path, "/macs/") {
			if macs++; !strings.HasSuffix(dir, body) {
				t.Errorf("%s: the mac says %s", path, body)
			}
		}
	}
	if perEach := (len(grown) - len(tree)) / 300; macs != 302 || perEach < 15 || perEach > 25 || len(grow(tree, 0)) != len(tree) {
		t.Errorf("%d interfaces, want 302; %d paths for each, want some 17", macs, perEach)
	}
}

func TestLatency(t *testing.T) {
	if d := median(calibrate(2 * time.Millisecond).wait); d < time.Millisecond {
		t.Errorf("2 ms took %v", d)
	}
}
