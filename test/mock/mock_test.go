// SPDX-License-Identifier: Apache-2.0

package mock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
)

// Without these two times the mock generates new ones for each request. With them,
// it always gives the same answers.
const (
	fixedTimes = `"spot": {"time": "2026-01-07T01:03:47Z", "rebalance-rec-time": "2026-01-07T01:03:47Z"}`
	asShipped  = `{` + fixedTimes + `}`
	// overridden has lists of several lines, other names in paths, values with
	// characters that are special in a shell or in JSON, and an empty value.
	overridden = `{` + fixedTimes + `, "metadata": {"values": {
		"mac": "0e:49:61:0f:c3:77", "mac-mac": "0e:49:61:0f:c3:77", "mac-device-number": "2",
		"mac-network-interface-card-index": "1", "public-ipv4": "",
		"local-hostname": "a b", "tags-instance-name": "R&D, \"42\" = 6*7 <é>",
		"mac-local-ipv4s": "172.16.34.43\n172.16.34.44", "mac-vpc-ipv4-cidr-blocks": "10.0.0.0/16\n10.1.0.0/16",
		"security-groups": "one\ntwo", "mac-security-group-ids": "sg-1\nsg-2\nsg-3"}}}`
)

// TestMock runs the daemon against the mock, with the mock's default values and with
// other values.
func TestMock(t *testing.T) {
	bin := t.TempDir()
	aemmBinary := build(t, bin, "ec2-metadata-mock", ".", mockTool)
	imdsReady := build(t, bin, "imds-ready", filepath.Join("..", ".."), "./cmd/imds-ready")
	for _, tt := range []struct{ name, config string }{
		{"as shipped", asShipped},
		{"overridden", overridden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := startMock(t, aemmBinary, freePort(t), tt.config)
			served := crawl(t, m.base)
			if status, _ := served.do(http.MethodGet, "meta-data/", "", ""); status != http.StatusUnauthorized {
				t.Fatalf("the mock answers %d without a token: it is not in IMDSv2-only mode", status)
			}
			before := len(read(t, m.log))
			d := startDaemon(t, imdsReady, fmt.Sprintf("[endpoint]\nurl = %q\n[retry]\ndeadline = \"30s\"\n"+
				"[metadata]\nuser_data = true\nsignatures = true\n", m.base))
			d.finish(t)
			compareFiles(t, d, served)
			compareRequests(t, d, read(t, m.log)[before:], served.paths())
		})
	}
	t.Run("started after the daemon", func(t *testing.T) { startedAfter(t, aemmBinary, imdsReady) })
}

// startedAfter tests a typical boot, in which IMDS refuses connections at first. The
// daemon uses one connection at a time; see the package comment.
func startedAfter(t *testing.T, aemmBinary, imdsReady string) {
	port := freePort(t)
	d := startDaemon(t, imdsReady, fmt.Sprintf("[endpoint]\nurl = \"http://127.0.0.1:%d\"\n[retry]\ndeadline = \"50s\"\n"+
		"[metadata]\nuser_data = true\nsignatures = true\nconcurrency = 1\n", port))
	until(t, startWithin, "the daemon reports refused connections", func() bool {
		data, err := os.ReadFile(filepath.Join(d.dir, "status.json"))
		return err == nil && strings.Contains(string(data), `"connection-refused"`)
	})
	m := startMock(t, aemmBinary, port, asShipped)
	d.finish(t)
	served := crawl(t, m.base)
	compareFiles(t, d, served)
	status := decode(t, "status.json", read(t, filepath.Join(d.dir, "status.json"))).(map[string]any)
	refused := fmt.Sprint(status["errors"].(map[string]any)["connection-refused"])
	if want := fmt.Sprintf("map[connection-refused:%s]", refused); fmt.Sprint(status["errors"]) != want || refused == "0" {
		t.Errorf("errors are %v, want refused connections and nothing else", status["errors"])
	}
}

// compareFiles compares every file of the daemon with the answers of the mock.
func compareFiles(t *testing.T, d *daemon, served *crawler) {
	t.Helper()
	compareJSON(t, d, "identity.json", decode(t, "document", served.leaves["dynamic/instance-identity/document"]))
	compareJSON(t, d, "meta-data.json", served.metaData())
	compareJSON(t, d, "network.json", served.network())
	compareJSON(t, d, "tags.json", served.tags())
	compareJSON(t, d, "signatures.json", map[string]any{
		"document": served.leaves["dynamic/instance-identity/document"],
		"pkcs7":    served.leaves["dynamic/instance-identity/pkcs7"],
		"rsa2048":  nil, "signature": served.leaves["dynamic/instance-identity/signature"],
	})
	for name, want := range map[string]string{"imds.env": served.env(), "user-data": served.leaves["user-data"]} {
		if got := read(t, filepath.Join(d.dir, name)); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	compareStatus(t, d)
}

// compareJSON compares the values and the format: sorted keys, an indentation of two
// spaces, and a final newline.
func compareJSON(t *testing.T, d *daemon, name string, want any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(want); err != nil {
		t.Fatal(err)
	}
	got := read(t, filepath.Join(d.dir, name))
	schematest.Check(t, name, []byte(got))
	if got != b.String() {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, b.String())
	}
}

// compareStatus checks that the state is ready, that nothing is missing, and that
// status.json lists exactly the files that exist.
func compareStatus(t *testing.T, d *daemon) {
	t.Helper()
	text := read(t, filepath.Join(d.dir, "status.json"))
	schematest.Check(t, "status.json", []byte(text))
	status := decode(t, "status.json", text).(map[string]any)
	for key, want := range map[string]string{"state": "ready", "missing": "map[]", "exit_code": "0", "generation": "1"} {
		if got := fmt.Sprint(status[key]); got != want {
			t.Errorf("status.json: %s is %s, want %s", key, got, want)
		}
	}
	listed := append(slices.Collect(maps.Keys(status["files"].(map[string]any))), "status.json")
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != ".lock" {
			names = append(names, e.Name())
		}
	}
	if slices.Sort(listed); !slices.Equal(names, listed) {
		t.Errorf("the directory has %v, status.json lists %v", names, listed)
	}
}

// request matches a line of the mock's log. There is one for each request: for a leaf
// it has the headers, and for a listing only the path.
var request = regexp.MustCompile(`Received request(?:: &\{[A-Z]+| to CatchAllHandler: ) (\S+)`)

// compareRequests checks that the mock's log contains each of the wanted requests
// once and no others, and that the token is not in the daemon's files and log.
func compareRequests(t *testing.T, d *daemon, log string, want []string) {
	t.Helper()
	var got []string
	for _, r := range request.FindAllStringSubmatch(log, -1) {
		got = append(got, r[1])
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the mock received\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if other := regexp.MustCompile(`User-Agent:\[([^i]|i[^m])`).FindString(log); other != "" {
		t.Errorf("the mock has another client: %q", other)
	}
	tokens := regexp.MustCompile(`X-Aws-Ec2-Metadata-Token:\[([^]]+)\]`).FindAllStringSubmatch(log, -1)
	if len(tokens) == 0 {
		t.Fatalf("the mock's log has no token:\n%s", log)
	}
	files, err := filepath.Glob(filepath.Join(d.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, d.stderr) {
		for _, token := range tokens {
			if text := read(t, file); strings.Contains(text, token[1]) {
				t.Errorf("%s contains the token:\n%s", file, text)
			}
		}
	}
}
