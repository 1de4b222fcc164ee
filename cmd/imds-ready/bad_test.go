// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// badServer is a server that does not behave like IMDS, and the result.
type badServer struct {
	name, schedule string
	exit, class    string // class is that of last_error, or "" without an error
	hint           string // a regular expression
	missing        string // a path of `missing` and its class, "PATH CLASS"
}

var badServers = []badServer{
	{name: "HTML", schedule: "html", exit: "76", class: "bad-response", hint: "proxy|portal"},
	{name: "HTML instead of the document", schedule: "html@get", exit: "76", class: "bad-response", hint: "proxy|portal"},
	{name: "garbage", schedule: "garbage", exit: "76", class: "bad-response"},
	{name: "redirect", schedule: "redirect", exit: "76", class: "bad-response"},
	{name: "redirect of the document", schedule: "307@get", exit: "76", class: "bad-response"},
	{name: "9 MiB of token", schedule: "big=9437184@put", exit: "76", class: "too-large"},
	{name: "9 MiB of document", schedule: "big=9437184@get", exit: "76", class: "too-large"},
	{name: "9 MiB of an optional path", schedule: "big=9437184@meta-data/hostname", exit: "0", missing: "meta-data/hostname too-large"},
	{name: "half a token", schedule: "truncate@put", exit: "75", class: "connection-reset"},
	{name: "half a document", schedule: "truncate@get", exit: "75", class: "connection-reset"},
	{name: "half a listing", schedule: "truncate@meta-data/placement/", exit: "0", missing: "meta-data/placement/ connection-reset"},
	{name: "reset", schedule: "reset", exit: "75", class: "connection-reset"},
	{name: "closed", schedule: "close", exit: "75", class: "connection-reset"},
	{name: "stall in the document", schedule: "stall@get", exit: "75", class: "read-timeout"},
	{name: "no answer to the PUT", schedule: "hang@put", exit: "75", class: "read-timeout", hint: "hop limit"},
	{name: "one byte a second", schedule: "drip=1s@get", exit: "75", class: "read-timeout"},
	{name: "token with control characters", schedule: "badtoken", exit: "76", class: "bad-response"},
	{name: "token without a lifetime", schedule: "nottl", exit: "76", class: "bad-response"},
	{name: "lifetime of zero", schedule: "ttl=0", exit: "76", class: "bad-response"},
	{name: "lifetime that is not a number", schedule: "ttl=soon", exit: "76", class: "bad-response"},
	{name: "empty token", schedule: "empty@put", exit: "76", class: "bad-response"},
	{name: "empty document", schedule: "empty@get", exit: "75", class: "empty"},
	{name: "no content", schedule: "204@get", exit: "75", class: "empty"},
	{name: "document that is another JSON", schedule: `body="[]"@get`, exit: "76", class: "bad-response"},
	{name: "document without an instance", schedule: `body="{\"region\":\"r\"}"@get`, exit: "76", class: "bad-response"},
	{name: "document and something after it", schedule: "utf8@dynamic/**", exit: "76", class: "bad-response"},
	{name: "value that is not UTF-8", schedule: "utf8@meta-data/hostname", exit: "0", missing: "meta-data/hostname not-utf8"},
	{name: "invalid JSON", schedule: "html@meta-data/iam/info", exit: "0", missing: "meta-data/iam/info bad-response"},
	{name: "headers without end", schedule: "bigheaders", exit: "76", class: "too-large"},
	{name: "interim answers without end", schedule: "interim=1000", exit: "76", class: "too-large"},
	{name: "interim answers", schedule: "interim=5", exit: "0"},
	{name: "chunks", schedule: "chunked", exit: "0"},
	{name: "listings with ../", schedule: "dotdot", exit: "0", missing: "meta-data/ bad-response"},
	{name: "directories in themselves", schedule: "self-listing", exit: "0"},
	{name: "401 to every GET", schedule: "401@get", exit: "75", class: "401", hint: "its own token"},
	{name: "throttled", schedule: "429;retry-after=1", exit: "75", class: "429"},
}

// badConfig gives up after a few attempts, however long they take on a busy machine.
// Only the attempts at a silent server end by the clock.
func (tt badServer) badConfig() string {
	readTimeout := "20s"
	if tt.class == "read-timeout" {
		readTimeout = "200ms"
	}
	return `
[retry]
max_attempts = 3
initial_backoff = "10ms"
connect_timeout = "20s"
read_timeout = "` + readTimeout + `"
[metadata]
collect_deadline = "` + tt.collect() + `"
requests_per_second = 200
`
}

// collect is the deadline of the collection. It is short if nothing else ends it.
func (tt badServer) collect() string {
	if tt.schedule == "self-listing" {
		return "1500ms"
	}
	return "20s"
}

// TestBadServers runs the daemon against servers that are not IMDS. Each has its
// class, its bound and its hint, and no file is incomplete.
func TestBadServers(t *testing.T) {
	schemas := schematest.Load(t)
	for _, tt := range badServers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, url := serve(t, imdstest.DefaultTree(), tt.schedule)
			dir := filepath.Join(t.TempDir(), "imds")
			p := launch(t, url, tt.badConfig(), dir)
			end, log := p.outcome(t)
			if end != tt.exit {
				t.Errorf("it ends with %s, not %s:\n%s", end, tt.exit, log)
			}
			tt.checkStatus(t, schemas, dir)
			checkFiles(t, schemas, dir, log, s)
		})
	}
}

// checkStatus compares status.json with the row.
func (tt badServer) checkStatus(t *testing.T, schemas schematest.Schemas, dir string) {
	t.Helper()
	text := readFile(t, filepath.Join(dir, snapshot.StatusFile))
	schemas.Check(t, snapshot.StatusFile, []byte(text))
	var st snapshot.Status
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	var class, hint string
	if st.LastError != nil {
		class, hint = st.LastError.Class, st.LastError.Hint
	}
	if class != tt.class || !regexp.MustCompile(tt.hint).MatchString(hint) {
		t.Errorf("the last error is %q with the hint %q, want %q and %q", class, hint, tt.class, tt.hint)
	}
	if path, class, ok := strings.Cut(tt.missing, " "); ok && st.Missing[path] != class {
		t.Errorf("missing is %v, want %s", st.Missing, tt.missing)
	}
}

// checkFiles finds forbidden results: an incomplete or temporary file, a token, and a
// request without a token or for a path that a hostile answer named.
func checkFiles(t *testing.T, schemas schematest.Schemas, dir, log string, s *imdstest.Server) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"the log": log}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.Name() != ".lock" {
			t.Errorf("%s remains", e.Name())
		}
		texts[e.Name()] = readFile(t, filepath.Join(dir, e.Name()))
		if strings.HasSuffix(e.Name(), ".json") {
			schemas.Check(t, e.Name(), []byte(texts[e.Name()]))
		}
	}
	for name, text := range texts {
		if err := noToken(name, []byte(text), s.Tokens()); err != nil {
			t.Error(err)
		}
	}
	for _, r := range s.Requests() {
		segments := strings.Split(r.Path, "/")
		switch {
		case r.Kind == "GET" && r.Header.Get("X-Aws-Ec2-Metadata-Token") == "" && !r.Token && r.Status == 200:
			t.Errorf("a request without a token: %v", r)
		case r.Kind != "GET" && r.Path != "api/token", strings.HasSuffix(r.Path, "redirected"),
			slices.Contains(segments, ".."), slices.Contains(segments, "a"), slices.Contains(segments, "security-credentials"):
			t.Errorf("a forbidden request: %v", r)
		case strings.Count(r.Path, "/") > 13:
			t.Errorf("a request that is too deep: %v", r)
		}
	}
	if len(s.Requests()) > 1000 {
		t.Errorf("%d requests", len(s.Requests()))
	}
}
