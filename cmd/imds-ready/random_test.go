// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// The number of processes that are killed or terminated, and the longest time
// between start and SIGTERM. Each test takes a few seconds.
const (
	rounds     = 40
	latestTerm = 150 * time.Millisecond
)

// random returns a source and logs its seed.
func random(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestTerminatedAtAnyMoment sends SIGTERM at random moments of waits, requests
// and collections of every kind: the daemon ends within a second, by the signal
// unless READY=1 was sent before, and leaves valid files.
func TestTerminatedAtAnyMoment(t *testing.T) {
	t.Parallel()
	rnd, schemas := random(t), schematest.Load(t)
	dir := filepath.Join(t.TempDir(), "imds")
	schedules := []string{"ok", "refuse", "blackhole", "hang", "503", "stall@get", "drip=20ms@get", "hang@meta-data/placement/**", "404@put"}
	for i := range rounds {
		schedule := schedules[i%len(schedules)]
		s, url := serve(t, imdstest.DefaultTree(), schedule)
		delay := time.Duration(rnd.Int64N(int64(latestTerm)))
		p := launch(t, url, "[retry]\nread_timeout = \"1h\"\nconnect_timeout = \"1h\"\n[metadata]\ncollect_deadline = \"1h\"\n", dir)
		<-time.After(delay)
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		end, err := p.wait(signalLimit + slack)
		if err != nil {
			t.Fatalf("%s, SIGTERM after %v: %v\n%s", schedule, delay, err, readFile(t, p.stderr))
		}
		checkTerminated(t, schemas, dir, fmt.Sprintf("%s, SIGTERM after %v", schedule, delay), end, p)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkTerminated compares how a process ended with its status.
func checkTerminated(t *testing.T, schemas schematest.Schemas, dir, when, end string, p *process) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, snapshot.StatusFile))
	if errors.Is(err, fs.ErrNotExist) && end == "SIGTERM" {
		return // before it created the directory
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	schemas.Check(t, snapshot.StatusFile, text)
	var st snapshot.Status
	if err := json.Unmarshal(text, &st); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	logged := len(readFile(t, p.stderr)) > 0 // otherwise it did not handle signals yet
	switch {
	case end == "0" && st.State == snapshot.Ready && *st.ExitCode == 0:
	case end == "SIGTERM" && !logged:
	case end == "SIGTERM" && st.State == snapshot.Failed && *st.ExitCode == 143 && st.LastError.Class == "interrupted" && st.PID == nil:
	default:
		t.Errorf("%s: it ends with %s, and the status and the log are\n%s\n%s", when, end, text, readFile(t, p.stderr))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) > 0 {
		t.Errorf("%s: %v remains", when, left)
	}
}

// TestKilledAtAnyMoment kills the daemon with SIGKILL at random moments during
// reads: every file is always complete and of one of two instances. Afterwards one
// more run leaves the files of a normal run.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	rnd := random(t)
	dir := filepath.Join(t.TempDir(), "imds")
	var urls []string
	want := completeFiles{schemas: schematest.Load(t), texts: map[string]bool{}}
	longest := time.Duration(0)
	for i := range 2 {
		_, url := serve(t, bigTree(i), "ok")
		urls = append(urls, url)
		p := launch(t, url, killConfig, dir)
		if end, log := p.outcome(t); end != "0" {
			t.Fatalf("it ends with %s:\n%s", end, log)
		}
		longest = time.Since(p.started)
		want.learn(t, dir)
	}
	stop := want.watch(t, dir)
	for i := range rounds {
		p := launch(t, urls[i%2], killConfig, dir)
		<-time.After(time.Duration(rnd.Int64N(int64(longest))))
		p.stop()
		want.check(t, dir)
	}
	stop()
	p := launch(t, urls[0], killConfig, dir)
	if end, log := p.outcome(t); end != "0" {
		t.Fatalf("the last run ends with %s:\n%s", end, log)
	}
	want.check(t, dir)
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) > 0 {
		t.Errorf("%v remains", left)
	}
	if text := readFile(t, filepath.Join(dir, snapshot.IdentityFile)); !strings.Contains(text, "i-instance0") {
		t.Errorf("the last run left the document of another instance: %s", text)
	}
}

const killConfig = "[metadata]\nuser_data = true\nsignatures = true\nconcurrency = 1\n"

// bigTree returns one of two instances that differ in every file. The values are
// long so that writing them takes a while; the limit of user-data is 64 KiB.
func bigTree(i int) imdstest.Tree {
	name := fmt.Sprintf("instance%d", i)
	long := strings.Repeat(name, 7<<10)
	const id = "dynamic/instance-identity/"
	return imdstest.Tree{
		id + "document":  fmt.Sprintf(`{"instanceId": "i-%s", "region": %q}`, name, name),
		id + "pkcs7":     long,
		id + "rsa2048":   long,
		id + "signature": long,
		"user-data":      long,

		"meta-data/instance-id":        "i-" + name,
		"meta-data/tags/instance/Name": long,

		"meta-data/network/interfaces/macs/06:00:00:00:00:01/interface-id":    "eni-" + name,
		"meta-data/network/interfaces/macs/06:00:00:00:00:01/security-groups": long,
	}
}

// completeFiles contains every valid text of each file except the status.
type completeFiles struct {
	schemas schematest.Schemas
	texts   map[string]bool
}

// learn adds the present files as valid.
func (w completeFiles) learn(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	if err != nil || len(files) != 8 {
		t.Fatalf("there are %v, not 8 files: %v", files, err)
	}
	for _, file := range files {
		w.texts[filepath.Base(file)+"\n"+readFile(t, file)] = true
	}
}

// check requires every present file to be complete.
func (w completeFiles) check(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		name := filepath.Base(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// It was removed since it was listed: a start removes the files that the status of
			// a killed one does not have. TestReadersSeeCompleteFiles reads while files are replaced.
		case err != nil:
			t.Errorf("reading %s: %v", name, err)
		case name == snapshot.StatusFile:
			w.schemas.Check(t, name, text)
		case !w.texts[name+"\n"+string(text)]:
			t.Errorf("%s is not complete: %d bytes, %.80q", name, len(text), text)
		}
	}
}

// watch checks repeatedly until the function that it returns is called.
func (w completeFiles) watch(t *testing.T, dir string) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		until(time.Hour, func() bool { w.check(t, dir); return stopped.Load() })
	})
	return func() { stopped.Store(true); wg.Wait() }
}
