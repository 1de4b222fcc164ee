// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// These tests use real sockets on the loopback interface and the real dialer.

// patientClient has timeouts that even a busy machine does not reach.
type patientClient struct {
	imds.Client
	timeouts imds.Timeouts
}

func (c *patientClient) Get(ctx context.Context, path string) ([]byte, error) {
	return c.GetWithin(ctx, c.timeouts, path)
}

func patient(base string) *patientClient {
	return &patientClient{
		Client:   imds.Client{Endpoints: []string{base}},
		timeouts: imds.Timeouts{Connect: 20 * time.Second, Read: 20 * time.Second},
	}
}

// bounded returns a context that ends long after the test should have ended.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// serve listens on a free port of 127.0.0.1. It reads a request from each connection
// and passes the connection to answer. It returns the base URL.
func serve(t *testing.T, answer func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				answer(conn.(*net.TCPConn))
			}
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestRealDialer(t *testing.T) {
	var connections atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
			io.WriteString(w, "TOKEN")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "TOKEN":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			io.WriteString(w, r.URL.Path)
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	for _, base := range []string{srv.URL, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)} {
		connections.Store(0)
		c := patient(base)
		for _, path := range []string{"meta-data/", "meta-data/tags/instance/a b?c"} {
			if body, err := c.Get(bounded(t), path); err != nil || string(body) != "/latest/"+path {
				t.Errorf("%s: got %q, %v", base, body, err)
			}
		}
		if got := connections.Load(); got != 3 || c.Requests() != 3 || c.Endpoint() != base {
			t.Errorf("%d connections, Requests %d, Endpoint %q", got, c.Requests(), c.Endpoint())
		}
	}
}

// A name is rejected and not looked up.
func TestRealDialerRequiresAnAddress(t *testing.T) {
	e := failed(t)(patient("http://imds.invalid").Get(bounded(t), "x"))
	if _, lookedUp := errors.AsType[*net.DNSError](e); lookedUp || !strings.Contains(e.Error(), "must be an IP address or localhost") {
		t.Errorf("got %v", e)
	}
}

func TestRealRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := patient("http://" + addr)
	e := failed(t)(c.Get(bounded(t), "x"))
	if !errors.Is(e, syscall.ECONNREFUSED) || e.Connected || e.Timeout() {
		t.Errorf("got %+v, want refused", e)
	}
	if want := "PUT http://" + addr + "/latest/api/token: connect: connection refused"; e.Error() != want {
		t.Errorf("got %q, want %q", e, want)
	}
}

// readOnce sends on read after the first bytes of a connection were read.
type readOnce struct {
	net.Conn
	read chan struct{}
}

func (r *readOnce) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	select {
	case r.read <- struct{}{}:
	default:
	}
	return n, err
}

// A reset is reported as one, with the status that arrived before it.
func TestRealReset(t *testing.T) {
	for _, tt := range []struct {
		name, before string
		status       int
	}{
		{"before the answer", "", 0},
		{"in the status line", "HTTP/1.1 20", 0},
		{"in the header", "HTTP/1.1 200 OK\r\nContent-Le", 0},
		{"in the body", head + "half", 200},
		{"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", 200},
		{"before the last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read := make(chan struct{}, 1)
			ctx := bounded(t)
			c := patient(serve(t, func(conn *net.TCPConn) {
				io.WriteString(conn, tt.before)
				if tt.before != "" {
					select { // otherwise the reset might overtake it
					case <-read:
					case <-ctx.Done():
					}
				}
				conn.SetLinger(0)
			}))
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &readOnce{conn, read}, err
			}
			e := failed(t)(c.Get(ctx, "x"))
			if !errors.Is(e, syscall.ECONNRESET) || errors.Is(e, imds.ErrMalformed) || e.Status != tt.status || !e.Connected || e.Timeout() {
				t.Errorf("got %+v, want a reset with status %d", e, tt.status)
			}
		})
	}
}

func TestRealReadTimeout(t *testing.T) {
	ctx := bounded(t)
	c := patient(serve(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) }))
	c.timeouts.Read = 20 * ms
	e := failed(t)(c.Get(ctx, "x"))
	if !e.Timeout() || !e.Connected || e.Status != 0 || ctx.Err() != nil {
		t.Errorf("got %+v, want a timeout, connected", e)
	}
}

// A signal during a GET ends it at once, with the cause and not as a timeout.
func TestRealCancel(t *testing.T) {
	stop := errors.New("terminated by a signal")
	ctx, cancel := context.WithCancelCause(bounded(t))
	defer cancel(nil)
	puts := true
	c := patient(serve(t, func(conn *net.TCPConn) {
		if puts {
			puts = false
			io.WriteString(conn, grant("TOKEN", "60"))
			return
		}
		cancel(stop)
		io.Copy(io.Discard, conn)
	}))
	start := time.Now()
	e := failed(t)(c.Get(ctx, "x"))
	if !errors.Is(e, stop) || !e.Connected || e.Op != "GET" {
		t.Errorf("got %+v, want the cause", e)
	}
	if e.Timeout() || !strings.Contains(e.Error(), stop.Error()) {
		t.Errorf("%v: Timeout %v, want the cause's text and no timeout", e, e.Timeout())
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
