// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/imds"
)

// Two base URLs for a race. Nothing is really dialed: a wire stands in between.
const (
	four     = "http://127.0.0.1:1338"
	six      = "http://[::1]:1338"
	addrFour = "127.0.0.1:1338"
	addrSix  = "[::1]:1338"
)

// short abbreviates the addresses in a trace, and omits the path meta-data/x.
func short(line string) string {
	return strings.NewReplacer(addrFour, "four", addrSix, "six", " /latest/meta-data/x", "").Replace(line)
}

// wire is the far end of a client's connections, a net.Pipe for each dial. It is
// independent of package imdstest, so that a fault there cannot hide one here.
type wire struct {
	// dial returns the error of a connect. If nil, every connect succeeds.
	dial func(ctx context.Context, addr string) error
	// put and get answer the requests. If nil, with a token for 6 h and the body "ok".
	put, get script

	start time.Time

	mu    sync.Mutex
	lines []string // "150ms PUT six"
	raw   []string // the requests, byte by byte
	ended []string // when the client's side of each connection was closed
}

// script answers one request, by writing to the client.
type script func(p *peer)

// peer is the service's side of one connection, after a request was read.
type peer struct {
	net.Conn
	addr, raw, token string
}

func (p *peer) send(raw string) { io.WriteString(p, raw) }

// hang waits until the client closes the connection.
func (p *peer) hang() { io.Copy(io.Discard, p) }

// wait waits, and reports whether the client is still connected.
func (p *peer) wait(d time.Duration) bool {
	p.SetReadDeadline(time.Now().Add(d))
	defer p.SetReadDeadline(time.Time{})
	_, err := p.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func newWire(put, get script) *wire { return &wire{put: put, get: get, start: time.Now()} }

func (w *wire) client(endpoints ...string) *imds.Client {
	return &imds.Client{Endpoints: endpoints, Dial: w.Dial}
}

func (w *wire) now() time.Duration { return time.Since(w.start) }

func (w *wire) log(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%v ", w.now())+short(fmt.Sprintf(format, args...)))
}

// Dial is an imds.DialFunc.
func (w *wire) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if network != "tcp" {
		return nil, fmt.Errorf("dialed network %q", network)
	}
	w.log("SYN %s", addr)
	if w.dial != nil {
		if err := w.dial(ctx, addr); err != nil {
			return nil, err
		}
	}
	near, far := net.Pipe()
	go w.serve(far, addr)
	return near, nil
}

func (w *wire) serve(conn net.Conn, addr string) {
	defer conn.Close()
	p := &peer{Conn: conn, addr: addr}
	for br := bufio.NewReader(conn); !strings.HasSuffix(p.raw, "\r\n\r\n"); {
		line, err := br.ReadString('\n')
		p.raw += line
		if err != nil {
			return
		}
		if v, ok := strings.CutPrefix(line, "X-aws-ec2-metadata-token: "); ok {
			p.token = strings.TrimSuffix(v, "\r\n")
		}
	}
	method, rest, _ := strings.Cut(p.raw, " ")
	target, _, _ := strings.Cut(rest, " ")
	answer := w.put
	if method == "PUT" {
		w.log("PUT %s", addr)
	} else {
		w.log("GET %s %s", addr, target)
		answer = w.get
	}
	w.mu.Lock()
	w.raw = append(w.raw, p.raw)
	w.mu.Unlock()
	switch {
	case answer != nil:
		answer(p)
	case method == "PUT":
		p.send(grant("TOKEN", "21600"))
	default:
		p.send(ok("ok"))
	}
	if _, err := p.Read(make([]byte, 1)); err == nil {
		w.log("BYTES AFTER THE REQUEST")
	}
	w.mu.Lock()
	w.ended = append(w.ended, short(fmt.Sprintf("%v %s %s", w.now(), method, addr)))
	w.mu.Unlock()
}

// takeLines returns the lines since the last call.
func (w *wire) takeLines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

// expect checks the lines since the last call, exactly and in their order:
// "0s SYN four, 0s PUT four".
func (w *wire) expect(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := strings.Join(w.takeLines(), ", "); got != want {
		t.Errorf("trace:\n\t%s\nwant:\n\t%s", got, want)
	}
}

// count returns how many lines since the last call contain a word.
func (w *wire) count(word string) int {
	synctest.Wait()
	n := 0
	for _, line := range w.takeLines() {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

// answer is an HTTP answer with a length. Each further header ends in "\r\n".
func answer(status, headers, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nServer: EC2ws\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", status, headers, len(body), body)
}

func ok(body string) string { return answer("200 OK", "", body) }

func grant(token, ttl string) string {
	return answer("200 OK", "X-aws-ec2-metadata-token-ttl-seconds: "+ttl+"\r\n", token)
}

func sends(raw string) script { return func(p *peer) { p.send(raw); p.Close() } }

func hangs(p *peer) { p.hang() }

// closes ends the connection without an answer, which is an EOF for the client.
func closes(p *peer) { p.Close() }

// blackHole is a connect whose SYN is never answered.
func blackHole(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// closed dials a service that closes the connection at once.
func closed(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	return near, far.Close()
}

// bubble runs a subtest in virtual time.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// mustGet gets a path and ends the test if that fails.
func mustGet(t *testing.T, c *imds.Client) string {
	t.Helper()
	body, err := c.Get(t.Context(), "meta-data/x")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return string(body)
}

// mustFail gets a path and ends the test unless that fails.
func mustFail(t *testing.T, c *imds.Client) *imds.Error {
	t.Helper()
	return failed(t)(c.Get(t.Context(), "meta-data/x"))
}

// failed checks what holds for every failure: no body, an *imds.Error, and at
// least one fact in it.
func failed(t *testing.T) func([]byte, error) *imds.Error {
	t.Helper()
	return func(body []byte, err error) *imds.Error {
		t.Helper()
		e, ok := errors.AsType[*imds.Error](err)
		if !ok {
			t.Fatalf("got body %.80q and error %v, want an *imds.Error", body, err)
		}
		if body != nil {
			t.Errorf("a failure came with a body: %.80q", body)
		}
		if e.Status == 0 && e.Err == nil {
			t.Errorf("%v: neither a status nor a cause", e)
		}
		return e
	}
}

// TestMain fails if a goroutine remains: every connection, race and token request
// must end with the call that needed it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
