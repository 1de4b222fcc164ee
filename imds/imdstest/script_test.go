// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// visit dials and, if that succeeds, sends a request and reads the answer.
func visit(t *testing.T, s *Server, addr, request string) {
	t.Helper()
	c, err := s.Dial(t.Context(), "tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(c) // the trace shows how it ends
}

// The trace shows which phase decides what, and when. A step is one visit; visits
// are 500 ms apart.
func TestSchedules(t *testing.T) {
	const v4, v6 = "169.254.169.254:80", "[fd00:ec2::254]:80"
	put, get := putRequest, getRequest("/latest/user-data", "none")
	type step struct{ addr, request string }
	six := []step{{v4, put}, {v4, put}, {v4, put}, {v4, put}, {v4, put}, {v4, put}}
	for _, tt := range []struct {
		name, main string
		also       []string
		steps      []step
		want       string // the trace without the SYNs that succeeded
	}{
		{
			"durations count from the start and end exactly", "refuse:1s,503:1s,ok", nil, six,
			"0s SYN refuse; 500ms SYN refuse; 1s PUT api/token 503; 1.5s PUT api/token 503; 2s PUT api/token 200; 2.5s PUT api/token 200",
		},
		{
			"counts", "refusex2,503x1,429x1", nil, six,
			"0s SYN refuse; 500ms SYN refuse; 1s PUT api/token 503; 1.5s PUT api/token 429; 2s PUT api/token 200; 2.5s PUT api/token 200",
		},
		{
			"a duration counts from the end of a count", "503x2,429:1s,500", nil, six,
			"0s PUT api/token 503; 500ms PUT api/token 503; 1s PUT api/token 429; 1.5s PUT api/token 500; 2s PUT api/token 500; 2.5s PUT api/token 500",
		},
		{
			"phases end without being used", "503:100ms,429:100ms,refuse:200ms,500x1", nil, six[:3],
			"0s PUT api/token 503; 500ms PUT api/token 500; 1s PUT api/token 200",
		},
		{
			"ok is a phase", "okx1,503x1,ok:1s,429", nil, six,
			"0s PUT api/token 200; 500ms PUT api/token 503; 1s PUT api/token 200; 1.5s PUT api/token 429; 2s PUT api/token 429; 2.5s PUT api/token 429",
		},
		{
			"events that a path or method does not match are not counted", "404@user-datax1,503@putx1", nil,
			[]step{{v4, put}, {v4, get}, {v4, get}, {v4, put}},
			"0s PUT api/token 200; 500ms GET user-data 404; 1s GET user-data 401; 1.5s PUT api/token 503",
		},
		{
			"families", "refuse@ipv4:1s,503@ipv6", nil,
			[]step{{v4, put}, {v6, put}, {v4, put}, {v6, put}},
			"0s SYN refuse; 500ms PUT api/token 200; 1s PUT api/token 200; 1.5s PUT api/token 503",
		},
		{
			"schedules beside the main one", "503@put:1s",
			[]string{"404@user-datax1", "refuse@ipv6x1,429x1"},
			[]step{{v4, put}, {v4, get}, {v6, put}, {v6, get}, {v4, put}},
			"0s PUT api/token 503; 500ms GET user-data 404; 1s SYN refuse; 1.5s GET user-data 429; 2s PUT api/token 200",
		},
		{
			"only the first phase that applies decides and counts", "503x1",
			[]string{"429x1"},
			six[:3],
			"0s PUT api/token 503; 500ms PUT api/token 429; 1s PUT api/token 200",
		},
		{
			"an ok passes on to the next schedule, and counts", "okx2,503",
			[]string{"429x1"},
			six[:3],
			"0s PUT api/token 429; 500ms PUT api/token 200; 1s PUT api/token 503",
		},
		{
			"a connect fault leaves requests alone, an answer fault connections", "hang@getx1,refusex1,500x1", nil,
			[]step{{v4, put}, {v4, put}},
			"0s PUT api/token 200; 500ms PUT api/token 200",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(nil, MustSchedule(tt.main)...)
				defer s.Close()
				for _, also := range tt.also {
					s.Also(MustSchedule(also)...)
				}
				for i, step := range tt.steps {
					if i > 0 {
						after(500 * time.Millisecond)
					}
					visit(t, s, step.addr, step.request)
				}
				var got []string
				for _, r := range s.Trace() {
					if r.Kind != "SYN" || r.Fault != "" {
						got = append(got, r.String())
					}
				}
				if got := strings.Join(got, "; "); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

// The duration of an answer is decided when the request arrives, whatever phase
// begins meanwhile.
func TestLatencyAndDrip(t *testing.T) {
	for _, tt := range []struct {
		name, schedule string
		latency, want  time.Duration
	}{
		{"latency", "ok", 300 * time.Microsecond, 300 * time.Microsecond},
		{"latency before a fault", "503", time.Second, time.Second},
		{"slow", "slow=1.9s", 100 * time.Millisecond, 2 * time.Second},
		{"drip", "drip", 0, 5600 * time.Millisecond}, // 56 bytes of a token
		{"drip with a value", "drip=1s", time.Second, 57 * time.Second},
		{"a phase that ends meanwhile", "slow=2s:1s,503", 0, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(nil, MustSchedule(tt.schedule)...)
				defer s.Close()
				s.Latency = tt.latency
				start := time.Now()
				_, end := pipeWire(s).send(t, putRequest)
				if took := time.Since(start); end != "eof" || took != tt.want {
					t.Errorf("%s after %v, want eof after %v", end, took, tt.want)
				}
				if r := s.Requests()[0]; r.At != 0 {
					t.Errorf("seen at %v, want 0s", r.At)
				}
			})
		})
	}
}

// A client that leaves ends whatever its connection waits for, at once and
// without Close.
func TestNothingOutlivesItsConnection(t *testing.T) {
	for _, schedule := range []string{"hang", "stall", "slow=1h", "drip=1h", "ok"} {
		t.Run(schedule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(nil, MustSchedule(schedule)...)
				s.Latency = time.Minute
				for _, request := range []string{putRequest, "", "PUT /la", "PUT /latest/api/token HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"} {
					c, err := s.Dial(t.Context(), "tcp", "127.0.0.1:80")
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.WriteString(c, request); err != nil {
						t.Fatal(err)
					}
					after(time.Second)
					c.Close()
				}
				synctest.Wait()
				s.mu.Lock()
				defer s.mu.Unlock()
				if n := len(s.conns); n != 0 {
					t.Errorf("%d connections are left", n)
				}
				if len(s.trace) != 5 {
					t.Errorf("trace of %d entries, want 4 connections and the one whole request", len(s.trace))
				}
			})
		})
	}
}

// Close ends what hangs. It can be called twice, and before the first use.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, MustSchedule("hang")...)
		time.AfterFunc(time.Second, func() { s.Close() })
		start := time.Now()
		if answer, end := pipeWire(s).send(t, putRequest); answer != "" || end != "eof" || time.Since(start) != time.Second {
			t.Errorf("%q, %s after %v, want an end of file after 1s", answer, end, time.Since(start))
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := New(nil).Close(); err != nil {
			t.Error(err)
		}
	})
}

// A server that was made outside of a bubble can be used inside.
func TestServerFromOutsideTheBubble(t *testing.T) {
	s := New(nil, MustSchedule("hang")...)
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(3*time.Second, func() { s.Close() })
		_, end := pipeWire(s).send(t, putRequest)
		if end != "eof" || time.Since(s.start) != 3*time.Second {
			t.Errorf("%s after %v", end, time.Since(s.start))
		}
	})
}
