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
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// How many times a process is killed or terminated, and how late after its start
// at the most. Each test takes a few seconds.
const (
	rounds     = 40
	latestTerm = 150 * time.Millisecond
)

// random is a source whose seed is in the test's log.
func random(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestTerminatedAtAnyMoment sends SIGTERM at random moments of waits, requests
// and collections of every kind: the daemon is gone within a second, by the
// signal unless it had said READY=1, and leaves everything in order.
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
		after(delay)
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		end, err := p.wait(contractual + slack)
		if err != nil {
			t.Fatalf("%s, SIGTERM after %v: %v\n%s", schedule, delay, err, readFile(t, p.stderr))
		}
		checkTerminated(t, schemas, dir, fmt.Sprintf("%s, SIGTERM after %v", schedule, delay), end, p)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkTerminated holds how a process ended against what it says of it.
func checkTerminated(t *testing.T, schemas schematest.Schemas, dir, when, end string, p *process) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, snapshot.StatusFile))
	if errors.Is(err, fs.ErrNotExist) && end == "SIGTERM" {
		return // before the directory was there
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	schemas.Check(t, snapshot.StatusFile, text)
	var st snapshot.Status
	if err := json.Unmarshal(text, &st); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	told := len(readFile(t, p.stderr)) > 0 // else it was too early for it to know of signals
	switch {
	case end == "0" && st.State == snapshot.Ready && *st.ExitCode == 0:
	case end == "SIGTERM" && !told:
	case end == "SIGTERM" && st.State == snapshot.Failed && *st.ExitCode == 143 && st.LastError.Class == "interrupted" && st.PID == nil:
	default:
		t.Errorf("%s: it ends with %s, and says\n%s\n%s", when, end, text, readFile(t, p.stderr))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) > 0 {
		t.Errorf("%s: %v is left", when, left)
	}
}

// TestKilledAtAnyMoment kills the daemon with SIGKILL at random moments while a
// reader looks: no file is ever there by half, each is whole and of one of two
// instances. Afterwards one more run leaves everything as if nothing had been.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	rnd := random(t)
	dir := filepath.Join(t.TempDir(), "imds")
	var urls []string
	want := wholeFiles{schemas: schematest.Load(t), texts: map[string]bool{}}
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
		after(time.Duration(rnd.Int64N(int64(longest))))
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
		t.Errorf("%v is left", left)
	}
	if text := readFile(t, filepath.Join(dir, snapshot.IdentityFile)); !strings.Contains(text, "i-instance0") {
		t.Errorf("the last run has left another instance's document: %s", text)
	}
}

const killConfig = "[metadata]\nuser_data = true\nsignatures = true\nconcurrency = 1\n"

// bigTree is one of two instances that differ in every file. The values are long
// enough that writing them takes a while; user-data may have 64 KiB.
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

// wholeFiles knows every text that a file may have, but for the status.
type wholeFiles struct {
	schemas schematest.Schemas
	texts   map[string]bool
}

// learn takes what is there as right.
func (w wholeFiles) learn(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	if err != nil || len(files) != 8 {
		t.Fatalf("there are %v, not 8 files: %v", files, err)
	}
	for _, file := range files {
		w.texts[filepath.Base(file)+"\n"+readFile(t, file)] = true
	}
}

// check wants each file that is there to be whole.
func (w wholeFiles) check(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		name := filepath.Base(file)
		switch {
		case err != nil: // a file is replaced, never away for a moment
			t.Errorf("reading %s: %v", name, err)
		case name == snapshot.StatusFile:
			w.schemas.Check(t, name, text)
		case !w.texts[name+"\n"+string(text)]:
			t.Errorf("%s is no whole file: %d bytes, %.80q", name, len(text), text)
		}
	}
}

// watch checks all the time, until the function that it returns is called.
func (w wholeFiles) watch(t *testing.T, dir string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				w.check(t, dir)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
