// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// TestLogReaderGone closes the other end of the log, as a journald that restarts
// or a pager that ends: the wait goes on to READY=1.
func TestLogReaderGone(t *testing.T) {
	t.Parallel()
	_, url := serve(t, imdstest.DefaultTree(), "503x5,ok")
	work := t.TempDir()
	config, dir := filepath.Join(work, "c.toml"), filepath.Join(work, "imds")
	if err := os.WriteFile(config, []byte("[retry]\ninitial_backoff = \"10ms\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{
		stdout: filepath.Join(work, "stdout"), stderr: filepath.Join(work, "stderr"), ended: make(chan struct{}),
		env:    []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url, "RUNTIME_DIRECTORY=" + dir},
		errors: writer,
	}
	if err := reader.Close(); err != nil { // nobody will ever read
		t.Fatal(err)
	}
	if err := p.start(work, []string{"run", "--config", config, "--log-level", "debug"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if end, _ := p.outcome(t); end != "0" {
		t.Errorf("it ends with %s", end)
	}
	if text := readFile(t, filepath.Join(dir, "status.json")); !strings.Contains(text, `"state": "ready"`) {
		t.Errorf("the status is\n%s", text)
	}
}
