// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A connect fault looks like an error of the dialer, and takes as long.
func TestDialErrors(t *testing.T) {
	for _, tt := range []struct {
		fault string
		errno syscall.Errno
		text  string
		takes time.Duration
	}{
		{"refuse", syscall.ECONNREFUSED, "dial tcp 169.254.169.254:80: connect: connection refused", 3 * time.Millisecond},
		{"unreachable", syscall.ENETUNREACH, "dial tcp 169.254.169.254:80: connect: network is unreachable", 0},
		{"blocked", syscall.EACCES, "dial tcp 169.254.169.254:80: connect: permission denied", 0},
		{"errno=EPERM", syscall.EPERM, "dial tcp 169.254.169.254:80: connect: operation not permitted", 0},
		{"errno=ECONNREFUSED", syscall.ECONNREFUSED, "dial tcp 169.254.169.254:80: connect: connection refused", 3 * time.Millisecond},
		{"errno=EAFNOSUPPORT", syscall.EAFNOSUPPORT, "dial tcp 169.254.169.254:80: socket: address family not supported by protocol", 0},
		{"errno=EMFILE", syscall.EMFILE, "dial tcp 169.254.169.254:80: socket: too many open files", 0},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(nil, MustSchedule(tt.fault)...)
				defer s.Close()
				s.ConnectLatency = 3 * time.Millisecond
				start := time.Now()
				c, err := s.Dial(t.Context(), "tcp", "169.254.169.254:80")
				op, isOp := errors.AsType[*net.OpError](err)
				if c != nil || !isOp || op.Op != "dial" || op.Timeout() || !errors.Is(err, tt.errno) || err.Error() != tt.text {
					t.Errorf("Dial = %v, %v (%#v), want %q", c, err, err, tt.text)
				}
				if took := time.Since(start); took != tt.takes {
					t.Errorf("took %v, want %v", took, tt.takes)
				}
				if got, want := traceText(s.Trace()), "0s SYN "+tt.fault; got != want {
					t.Errorf("trace %q, want %q", got, want)
				}
			})
		})
	}
}

// Dial returns the same errors as a real dialer on loopback, also for a context
// that is over. The dialer of this test sends nothing beyond loopback: its
// contexts are over before it begins, or its port is closed.
func TestDialErrorsAreThoseOfTheDialer(t *testing.T) {
	closed, at, err := bindTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
	}{
		{"refused", t.Context()},
		{"expired", expired},
		{"canceled", canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var dialer net.Dialer
			_, want := dialer.DialContext(tt.ctx, "tcp", at.String())
			s := New(nil, MustSchedule("refuse")...)
			defer s.Close()
			_, got := s.Dial(tt.ctx, "tcp", at.String())
			if got == nil || want == nil || got.Error() != want.Error() {
				t.Fatalf("Dial returns %v, the dialer %v", got, want)
			}
			for _, target := range []error{context.DeadlineExceeded, context.Canceled, syscall.ECONNREFUSED, os.ErrDeadlineExceeded} {
				if errors.Is(got, target) != errors.Is(want, target) {
					t.Errorf("errors.Is(err, %v): Dial %v, the dialer %v", target, errors.Is(got, target), errors.Is(want, target))
				}
			}
			g, _ := errors.AsType[*net.OpError](got)
			w, _ := errors.AsType[*net.OpError](want)
			if g.Timeout() != w.Timeout() || g.Temporary() != w.Temporary() || g.Op != w.Op || g.Net != w.Net || g.Addr.String() != w.Addr.String() {
				t.Errorf("Dial %#v, the dialer %#v", g, w)
			}
		})
	}
}

// A dial whose SYN is dropped ends with the context or with the server.
func TestBlackhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, MustSchedule("blackhole:1s,ok")...)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := s.Dial(ctx, "tcp", "169.254.169.254:80")
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || !op.Timeout() || !errors.Is(err, context.DeadlineExceeded) || time.Since(s.start) != 2*time.Second {
			t.Errorf("Dial = %v after %v, want a timeout after 2s", err, time.Since(s.start))
		}
		c, err := s.Dial(t.Context(), "tcp", "169.254.169.254:80")
		if err != nil {
			t.Fatalf("the phase is over, but Dial = %v", err)
		}
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, MustSchedule("blackhole")...)
		time.AfterFunc(time.Hour, func() { s.Close() })
		_, err := s.Dial(t.Context(), "tcp", "169.254.169.254:80")
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(s.start) != time.Hour {
			t.Errorf("Dial = %v after %v, want refused by Close after 1h", err, time.Since(s.start))
		}
	})
}

func TestConnectLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil)
		s.ConnectLatency = time.Second
		start := time.Now()
		c, err := s.Dial(t.Context(), "tcp", "[fd00:ec2::254]:80")
		if err != nil || time.Since(start) != time.Second {
			t.Fatalf("Dial = %v after %v, want a connection after 1s", err, time.Since(start))
		}
		if c.RemoteAddr().String() != "[fd00:ec2::254]:80" || c.LocalAddr().Network() != "tcp" {
			t.Errorf("addresses %v, %v", c.RemoteAddr(), c.LocalAddr())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		if _, err := s.Dial(ctx, "tcp", "169.254.169.254:80"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 1400*time.Millisecond {
			t.Errorf("Dial = %v after %v, want a timeout after 1.4s", err, time.Since(start))
		}
		time.AfterFunc(500*time.Millisecond, func() { s.Close() })
		if _, err := s.Dial(t.Context(), "tcp", "169.254.169.254:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial = %v, want refused by Close", err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read = %v, want the end of file that Close brings", err)
		}
		if _, err := s.Dial(t.Context(), "tcp", "169.254.169.254:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial after Close = %v, want refused", err)
		}
		if got, want := traceText(s.Trace()), "0s SYN\n1s SYN\n1.4s SYN"; got != want {
			t.Errorf("trace:\n%s\nwant:\n%s", got, want)
		}
	})
}

// The errors of the pipe are those of a TCP connection.
func TestPipeErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, MustSchedule("close@putx1,reset@put")...)
		defer s.Close()
		dial := func() net.Conn {
			c, err := s.Dial(t.Context(), "tcp", "127.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := dial()
		if _, err := io.WriteString(c, putRequest); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the peer has closed
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
			if err := set(time.Now().Add(time.Minute)); err != nil {
				t.Errorf("setting a deadline after the peer has closed: %v", err)
			}
		}
		_, err := c.Write([]byte("x"))
		wantOpError(t, err, "write tcp 127.0.0.1:40000->127.0.0.1:80: write: broken pipe", syscall.EPIPE)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_, err = c.Read(make([]byte, 1))
		wantOpError(t, err, "read tcp 127.0.0.1:40000->127.0.0.1:80: use of closed network connection", net.ErrClosed)
		_, err = c.Write([]byte("x"))
		wantOpError(t, err, "write tcp 127.0.0.1:40000->127.0.0.1:80: use of closed network connection", net.ErrClosed)
		wantOpError(t, c.SetDeadline(time.Now()), "set tcp 127.0.0.1:40000: use of closed network connection", net.ErrClosed)
		wantOpError(t, c.Close(), "close tcp 127.0.0.1:40000->127.0.0.1:80: use of closed network connection", net.ErrClosed)

		c = dial()
		defer c.Close()
		if _, err := io.WriteString(c, putRequest); err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(make([]byte, 1))
		wantOpError(t, err, "read tcp 127.0.0.1:40000->127.0.0.1:80: read: connection reset by peer", syscall.ECONNRESET)
		_, err = c.Write([]byte("x"))
		wantOpError(t, err, "write tcp 127.0.0.1:40000->127.0.0.1:80: write: connection reset by peer", syscall.ECONNRESET)

		c = dial()
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(make([]byte, 1))
		wantOpError(t, err, "read tcp 127.0.0.1:40000->127.0.0.1:80: i/o timeout", os.ErrDeadlineExceeded)
	})
}

// wantOpError checks the text and the cause of an error.
func wantOpError(t *testing.T, err error, text string, cause error) {
	t.Helper()
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Error() != text || !errors.Is(err, cause) {
		t.Errorf("error %v (%#v), want %q", err, err, text)
	}
}
