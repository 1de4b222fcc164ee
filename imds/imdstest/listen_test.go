// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listening returns a server on a loopback socket, and its address.
func listening(t *testing.T, addr, schedule string) (*Server, string) {
	t.Helper()
	s := New(DefaultTree(), MustSchedule(schedule)...)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := s.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	return s, strings.TrimPrefix(url, "http://")
}

// outcome dials once and names the result.
func outcome(t *testing.T, addr string, timeout time.Duration) string {
	t.Helper()
	dialer := net.Dialer{Timeout: timeout}
	c, err := dialer.DialContext(t.Context(), "tcp", addr)
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case err == nil:
		c.Close()
		return "connected"
	case errors.Is(err, syscall.ECONNRESET): // the kernel connected it, but the listener was closed before it was accepted
		return "connected"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case op.Timeout():
		return "timeout"
	}
	return err.Error()
}

// The states of a socket, and the change from one to the next: a client that dials
// without pause sees first the one and then the other, and nothing in between.
func TestSocketStates(t *testing.T) {
	for _, tt := range []struct {
		name, schedule string
		timeout        time.Duration // of a dial; long where only a slow machine needs that long
		first, then    string
	}{
		{"open", "ok", 10 * time.Second, "", "connected"},
		{"refusing", "refuse", 10 * time.Second, "", "refused"},
		{"a black hole", "blackhole", 300 * time.Millisecond, "", "timeout"},
		{"refusing, then open", "refuse:150ms,ok", 10 * time.Second, "refused", "connected"},
		{"refusing, then a black hole", "refuse:150ms,blackhole", time.Second, "refused", "timeout"},
		{"a black hole, then refusing", "blackhole:150ms,refuse", 100 * time.Millisecond, "timeout", "refused"},
		{"open, then refusing", "ok:150ms,refuse", 10 * time.Second, "connected", "refused"},
		{"open, then a black hole", "ok:150ms,blackhole", time.Second, "connected", "timeout"},
		// The kernel sends a lost SYN again after a second, which is then let in.
		{"a black hole, then open", "blackhole:150ms,ok", 10 * time.Second, "", "connected"},
	} {
		for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(tt.name+" "+addr, func(t *testing.T) {
				t.Parallel()
				s, at := listening(t, addr, tt.schedule)
				for bound := time.Now().Add(20 * time.Second); ; {
					got := outcome(t, at, tt.timeout)
					if got == tt.then {
						break
					}
					if got != tt.first || time.Now().After(bound) {
						t.Fatalf("%s, want %q and then %q", got, tt.first, tt.then)
					}
				}
				for _, r := range s.Trace() {
					if r.Kind != "SYN" || r.Addr != at || r.Fault != "" || tt.then == "connected" && tt.schedule != "ok" && r.At < 150*time.Millisecond {
						t.Errorf("trace has %+v", r)
					}
				}
			})
		}
	}
}

// A count ends a phase on a socket too, and the next phase begins at once.
func TestSocketStateAfterCount(t *testing.T) {
	s, at := listening(t, "127.0.0.1:0", "503x1,refuse")
	w := wire{(&net.Dialer{}).DialContext, at, 5 * time.Second, false}
	if answer, _ := w.send(t, putRequest); !strings.HasPrefix(answer, "HTTP/1.1 503 ") {
		t.Errorf("answer %q", answer)
	}
	eventually(t, "refusing", func() bool { return outcome(t, at, 10*time.Second) == "refused" })
	if got := traceText(s.Requests()); !strings.HasSuffix(got, " PUT api/token 503") {
		t.Errorf("trace %q", got)
	}
}

// Another program can take the port while the server refuses. The server tries
// again until the port is free, and Close returns the error. After Close the port
// is free.
func TestPortTaken(t *testing.T) {
	s := New(nil, MustSchedule("refuse:100ms,ok")...)
	defer s.Close()
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimPrefix(url, "http://")
	taker, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server notices", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.failed != nil
	})
	taker.Close()
	eventually(t, "the server listens", func() bool { return outcome(t, at, 10*time.Second) == "connected" })
	if err := s.Close(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Close = %v, want %v", err, syscall.EADDRINUSE)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	l.Close()
}

// eventually waits until a condition holds, for 10 s at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for bound := time.Now().Add(10 * time.Second); !holds(); <-tick.C {
		if time.Now().After(bound) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

// Each family has its own state, under one schedule and one trace.
func TestListenTwice(t *testing.T) {
	s, v4 := listening(t, "localhost:0", "refuse@ipv4")
	url, err := s.Listen("[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	v6 := strings.TrimPrefix(url, "http://")
	if got := outcome(t, v4, 10*time.Second); got != "refused" {
		t.Errorf("IPv4: %s, want refused", got)
	}
	if got := outcome(t, v6, 10*time.Second); got != "connected" {
		t.Errorf("IPv6: %s, want connected", got)
	}
	eventually(t, "a connection is accepted", func() bool { return len(s.Trace()) > 0 })
	if r := s.Trace(); len(r) != 1 || r[0].Addr != v6 {
		t.Errorf("trace %+v, want one connection to %s", r, v6)
	}
}

func TestListenErrors(t *testing.T) {
	_, at := listening(t, "127.0.0.1:0", "ok")
	for _, tt := range []struct {
		name, schedule, addr string
		latency              time.Duration
		want                 string
	}{
		{"no port", "", "127.0.0.1", 0, "must be IP:PORT or localhost:PORT"},
		{"a name", "", "example.test:80", 0, "must be IP:PORT or localhost:PORT"},
		{"every address", "", ":80", 0, "must be IP:PORT or localhost:PORT"},
		{"port", "", "127.0.0.1:65536", 0, "with a port of 0 to 65535"},
		{"zone", "", "[fe80::1%lo]:80", 0, "no zone"},
		{"taken", "", at, 0, "address already in use"},
		{"count of refusals", "refusex2,ok", "127.0.0.1:0", 0, `phase "refusex2": a count of connections is possible in process only`},
		{"count of black holes", "blackholex1,ok", "127.0.0.1:0", 0, `phase "blackholex1"`},
		{"unreachable", "ok:1s,unreachable@ipv4:1s", "127.0.0.1:0", 0, `phase "unreachable@ipv4:1s": possible in process only`},
		{"blocked", "blocked", "127.0.0.1:0", 0, "possible in process only"},
		{"errno", "errno=ENETDOWN", "127.0.0.1:0", 0, "possible in process only"},
		{"connect latency", "", "127.0.0.1:0", 1, "a connect latency is possible in process only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(nil).Also(MustSchedule(tt.schedule)...)
			defer s.Close()
			s.ConnectLatency = tt.latency
			url, err := s.Listen(tt.addr)
			if err == nil || url != "" || !strings.HasPrefix(err.Error(), "listening on "+tt.addr+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Listen = %q, %v, want an error with %q", url, err, tt.want)
			}
		})
	}
	t.Run("closed", func(t *testing.T) {
		s := New(nil)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Listen("127.0.0.1:0"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Listen = %v, want %v", err, net.ErrClosed)
		}
	})
}

// Many clients at once, in process and on a socket.
func TestConcurrency(t *testing.T) {
	s, at := listening(t, "127.0.0.1:0", "503x50,hang@getx5")
	dialer := net.Dialer{Timeout: 10 * time.Second}
	done := make(chan struct{})
	for i := range 100 {
		dial := s.Dial
		if i%2 == 0 {
			dial = dialer.DialContext
		}
		go func() {
			defer func() { done <- struct{}{} }()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c, err := dial(ctx, "tcp", at)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := c.Write([]byte(putRequest)); err != nil {
				t.Error(err)
			}
			if n, err := c.Read(make([]byte, 4096)); n == 0 || err != nil {
				t.Errorf("read %d bytes, %v", n, err)
			}
		}()
	}
	for range 100 {
		<-done
	}
	counts := map[int]int{}
	for _, r := range s.Requests() {
		counts[r.Status]++
	}
	if counts[503] != 50 || counts[200] != 50 || len(s.Tokens()) != 50 {
		t.Errorf("statuses %v, %d tokens", counts, len(s.Tokens()))
	}
}
