// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// world is the environment of one script.
type world struct {
	work      string
	schemas   schematest.Schemas
	sims      []*imdstest.Server
	receivers []*receiver
	processes []*process
	named     map[string]*process // in the background
	killed    bool                // a killed process may leave a temporary file
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// sim returns the simulator that was started last.
func (w *world) sim(ts *testscript.TestScript) *imdstest.Server {
	if len(w.sims) == 0 {
		ts.Fatalf("there is no simulator: start one with sim")
	}
	return w.sims[len(w.sims)-1]
}

// start starts imds-ready with those variables of the script that it reads, and
// with UMASK, which the test binary makes the mask of the process.
func (w *world) start(ts *testscript.TestScript, name string, args []string) *process {
	env := []string{}
	for _, key := range []string{
		"PATH", "GORACE", "GOCOVERDIR", "UMASK", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM",
		"HTTP_PROXY", "http_proxy", "ALL_PROXY", "AWS_EC2_METADATA_DISABLED",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
	} {
		if value := ts.Getenv(key); value != "" {
			env = append(env, key+"="+value)
		}
	}
	out := filepath.Join(w.work, ".out")
	ts.Setenv("OUT", out)
	p, err := start(ts.MkAbs("."), filepath.Join(out, name), env, args)
	ts.Check(err)
	w.processes = append(w.processes, p)
	return p
}

// end stops all processes, and checks what is true for every script: no token is
// anywhere, every document is valid, and no temporary file remains.
func (w *world) end() error {
	for _, p := range w.processes {
		p.stop()
	}
	var tokens []string
	var errs []error
	for _, s := range w.sims {
		tokens = append(tokens, s.Tokens()...)
		errs = append(errs, s.Close())
	}
	for _, r := range w.receivers {
		errs = append(errs, r.close())
		errs = append(errs, noToken("a datagram", []byte(strings.Join(r.all(), "\n")), tokens))
	}
	errs = append(errs, filepath.WalkDir(w.work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !w.killed && strings.HasPrefix(d.Name(), ".") && strings.HasSuffix(d.Name(), ".tmp") {
			errs = append(errs, fmt.Errorf("%s: a temporary file remains", path))
		}
		errs = append(errs, noToken(path, data, tokens), validFile(w.schemas, path, data))
		return nil
	}))
	return errors.Join(errs...)
}

// noToken returns an error if data contains a token.
func noToken(where string, data []byte, tokens []string) error {
	for _, token := range tokens {
		if bytes.Contains(data, []byte(token)) {
			return fmt.Errorf("%s contains a token:\n%s", where, data)
		}
	}
	return nil
}

// validFile checks a file against the schema for its name, if there is one.
func validFile(schemas schematest.Schemas, path string, data []byte) error {
	if strings.HasSuffix(path, "/watch/status.json") {
		return schemas.Validate("watch-status.json", data)
	}
	switch name := filepath.Base(path); name {
	case "status.json", "identity.json", "meta-data.json", "network.json", "tags.json", "signatures.json":
		return schemas.Validate(name, data)
	}
	return nil
}

// serve starts a simulator on loopback for a Go test and returns its URL.
func serve(t *testing.T, tree imdstest.Tree, schedule string) (*imdstest.Server, string) {
	t.Helper()
	s := imdstest.New(tree, imdstest.MustSchedule(schedule)...)
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, url
}
