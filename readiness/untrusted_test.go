// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// maxDatagram is PIPE_BUF. systemd ignores a longer datagram, including its READY=1
// (NOTIFY_BUFFER_MAX in src/core/manager.c).
const maxDatagram = 4096

// wantBoundedText checks the length of everything that may quote an answer.
func (tr *trial) wantBoundedText(t *testing.T) {
	t.Helper()
	for _, n := range tr.datagrams {
		if len(n.state) > maxDatagram {
			t.Errorf("a datagram of %d bytes: %.60q", len(n.state), n.state)
		}
	}
	for line := range strings.Lines(tr.log) {
		if len(line) > 2*maxDatagram {
			t.Errorf("a line of %d bytes in the log: %.60q", len(line), line)
		}
	}
	if last := tr.status.LastError; last != nil && len(last.Message) > maxDatagram {
		t.Errorf("last_error.message has %d bytes: %.60q", len(last.Message), last.Message)
	}
	if n := len(tr.file(t, "status.json")); n > 64<<10 {
		t.Errorf("status.json has %d bytes", n)
	}
}

// Errors quote bodies, which may be long.
func TestUntrustedBody(t *testing.T) {
	const roles = "meta-data/iam/security-credentials/"
	long := strings.Repeat("\x00x", 60_000)
	for _, tt := range []struct{ name, path, body string }{
		{"a role's code", roles + "web-role", fmt.Sprintf(`{"Code": %q}`, strings.Repeat("x", 200_000))},
		{"a listing's entry", roles, "a/" + long},
		{"not JSON", "meta-data/iam/info", "{" + long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := imdstest.DefaultTree()
			tree[tt.path] = tt.body
			path := tt.path
			if strings.HasPrefix(path, roles) {
				path = roles
			}
			tr := newTrial(t, imdstest.New(tree)).require(path).limits(3, time.Minute).run(t)
			if tr.exit != readiness.ExitProtocol {
				t.Errorf("exit %d", tr.exit)
			}
			tr.wantBoundedText(t)
		})
	}
}

// The same applies to listings that are not required.
func TestUntrustedListing(t *testing.T) {
	tree := imdstest.DefaultTree()
	tree["meta-data/placement/"] = "region\na/" + strings.Repeat("\x01", 100_000)
	tr := newTrial(t, imdstest.New(tree)).run(t)
	if tr.exit != readiness.ExitOK || tr.status.Missing["meta-data/placement/"] != "bad-response" {
		t.Errorf("exit %d, missing %v", tr.exit, tr.status.Missing)
	}
	tr.wantBoundedText(t)
}

// answering returns a dial function that answers every request with these bytes.
func answering(answer string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				_, _ = server.Write([]byte(answer)) // the client may have closed the connection
			}
		}()
		return client, nil
	}
}

// The parser of net/http quotes the line that it cannot parse.
func TestUntrustedHTTP(t *testing.T) {
	long := strings.Repeat("\x02", 15_000)
	for name, answer := range map[string]string{
		"a status line":   long + "\r\n\r\n",
		"a version":       "HTTP/" + long + " 200 OK\r\n\r\n",
		"a status":        "HTTP/1.1 2" + long + "\r\n\r\n",
		"a header":        "HTTP/1.1 200 OK\r\n" + long + "\r\n\r\n",
		"a length":        "HTTP/1.1 200 OK\r\nContent-Length: " + long + "\r\n\r\n",
		"an encoding":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + strings.Repeat("x", 15_000) + "\r\n\r\n",
		"a token's time":  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: " + strings.Repeat("x", 15_000) + "\r\n\r\nx",
		"a reason phrase": "HTTP/1.1 400 " + strings.Repeat("x", 15_000) + "\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			tr := faulty(t, "").limits(3, time.Minute)
			tr.client.Dial = answering(answer)
			tr.run(t)
			if tr.exit != readiness.ExitProtocol && name != "a reason phrase" {
				t.Errorf("exit %d, errors %v", tr.exit, tr.status.Errors)
			}
			tr.wantBoundedText(t)
		})
	}
}

// Nested long names add up to more bytes than were received. status.json must stay
// readable.
func TestUntrustedNames(t *testing.T) {
	tree := imdstest.Tree{imds.IdentityPath: imdstest.DefaultTree()[imds.IdentityPath]}
	long := "meta-data/" + strings.Repeat(strings.Repeat("d", 250)+"/", 10)
	for i := range 4000 {
		tree[fmt.Sprintf("%s%04d", long, i)] = "x"
	}
	tr := newTrial(t, imdstest.New(tree, imdstest.MustSchedule("400@meta-data/*/*/*/*/*/*/*/*/*/*/*")...))
	tr.config.Metadata.CollectDeadline = time.Hour
	tr.config.Metadata.RequestsPerSecond = 200
	tr.run(t)
	if tr.exit != readiness.ExitOK || tr.status.State != "ready" {
		t.Errorf("exit %d; the status cannot be read: %+v", tr.exit, tr.status)
	}
	if n := len(tr.file(t, "status.json")); n > 8<<20 {
		t.Errorf("status.json has %d bytes", n)
	}
}
