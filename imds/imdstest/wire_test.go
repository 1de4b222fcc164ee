// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// wire connects to a server, for a client that sends and reads bytes and knows
// nothing of HTTP.
type wire struct {
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	addr    string
	timeout time.Duration // of reading an answer
	virtual bool          // time is virtual
}

// pipeWire connects in process, under the address that a client uses.
func pipeWire(s *Server) wire {
	return wire{s.Dial, "169.254.169.254:80", time.Minute, true}
}

// socketWire makes the server listen on a loopback socket and connects to it.
func socketWire(t *testing.T, s *Server) wire {
	t.Helper()
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return wire{dialer.DialContext, strings.TrimPrefix(url, "http://"), 5 * time.Second, false}
}

// eachWire runs a test in process, in virtual time, and on a socket.
func eachWire(t *testing.T, make func() *Server, test func(t *testing.T, s *Server, w wire)) {
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := make()
			defer s.Close()
			test(t, s, pipeWire(s))
		})
	})
	t.Run("socket", func(t *testing.T) {
		s := make()
		defer s.Close()
		test(t, s, socketWire(t, s))
	})
}

// send sends one request and returns all bytes of the answer and how they
// ended: "eof", "reset" or "timeout".
func (w wire) send(t *testing.T, request string) (answer, end string) {
	t.Helper()
	c, err := w.dial(t.Context(), "tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(w.timeout)); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	return string(all), ending(t, err)
}

// ending names the error of a read, and checks that it looks like one of TCP.
func ending(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "eof"
	}
	op, ok := errors.AsType[*net.OpError](err)
	switch {
	case !ok || op.Op != "read" || op.Source == nil || op.Addr == nil:
		t.Errorf("read error %#v is not what TCP gives", err)
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case op.Timeout():
		return "timeout"
	}
	return err.Error()
}

const (
	putRequest = "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
	crlfcrlf   = "\r\n\r\n"
)

// getRequest returns the GET of a path with a token.
func getRequest(path, token string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token: " + token + crlfcrlf
}

// token gets a valid token.
func (w wire) token(t *testing.T) string {
	t.Helper()
	answer, _ := w.send(t, putRequest)
	head, token, ok := strings.Cut(answer, crlfcrlf)
	if !ok || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatalf("no token: %q", answer)
	}
	return token
}

// get gets a path below latest with a new token, and returns the
// status line and the body.
func (w wire) get(t *testing.T, path string) (status, body string) {
	t.Helper()
	answer, _ := w.send(t, getRequest("/latest/"+path, w.token(t)))
	return statusAndBody(answer)
}

// statusAndBody splits an answer.
func statusAndBody(answer string) (status, body string) {
	head, body, _ := strings.Cut(answer, crlfcrlf)
	status, _, _ = strings.Cut(head, "\r\n")
	return strings.TrimPrefix(status, "HTTP/1.1 "), body
}

// traceText returns a trace, one line per entry.
func traceText(trace []Request) string {
	var lines []string
	for _, r := range trace {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

// after waits in virtual time.
func after(d time.Duration) { <-time.After(d) }
