// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

const (
	base4 = "http://127.0.0.1:1338"
	base6 = "http://[::1]:1338"
)

// raced returns a trial with two endpoints, one schedule for each, and without a
// collection.
func raced(t *testing.T, ipv4, ipv6 string) *trial {
	t.Helper()
	tr := faulty(t, ipv4).also(ipv6).gateOnly()
	tr.client.Endpoints = []string{base4, base6}
	return tr
}

// families returns the trace with the address family of each line.
func (tr *trial) families() string {
	var lines []string
	for _, r := range tr.sim.Trace() {
		if r.Kind == "SYN" && r.Fault == "" {
			continue
		}
		family := "4"
		if strings.Contains(r.Addr, "::1") {
			family = "6"
		}
		event := r.Kind
		if r.Fault != "" {
			event += " " + r.Fault
		}
		lines = append(lines, fmt.Sprintf("%v %s/%s", r.At, event, family))
	}
	return strings.Join(lines, ", ")
}

// IPv6 follows IPv4 after 150 ms or when IPv4 fails. Only a token settles a race, and a race
// is one attempt. The tests of package imds have more races.
func TestRace(t *testing.T) {
	for _, tt := range []struct {
		name, ipv4, ipv6 string
		trace            string
		endpoint         string
		exit             readiness.Exit
		attempts         int
	}{
		{"both answer", "", "", "0s PUT/4, 0s GET/4", base4, 0, 1},
		{"IPv4 refused", "refuse@ipv4", "", "0s SYN refuse/4, 0s PUT/6, 0s GET/6", base6, 0, 1},
		{"IPv4 does not answer", "hang@ipv4", "", "0s PUT hang/4, 150ms PUT/6, 150ms GET/6", base6, 0, 1},
		{"403 from IPv4, and a token from IPv6", "403@put@ipv4", "", "0s PUT 403/4, 0s PUT/6, 0s GET/6", base6, 0, 1},
		{"403 from IPv4, and IPv6 refused", "403@put@ipv4", "refuse@ipv6", "0s PUT 403/4, 0s SYN refuse/6", base4, 69, 1},
		{"503 from IPv4 first", "503@put@ipv4x1,ok", "refuse@ipv6", "0s PUT 503/4, 0s SYN refuse/6, 50ms PUT/4, 50ms GET/4", base4, 0, 2},
		{"the winner stops answering: a new race and a new token", "hang@get@ipv4", "", "0s PUT/4, 0s GET hang/4, 2.05s PUT/4, 2.05s GET hang/4", "", 75, 2},
		{"the kernel has no IPv4", "errno=EAFNOSUPPORT@ipv4", "503@put@ipv6x1,ok", "0s SYN errno=EAFNOSUPPORT/4, 0s PUT 503/6, 50ms PUT/6, 50ms GET/6", base6, 0, 2},
		{"the kernel has no IPv6", "refuse@ipv4x1,ok", "errno=EAFNOSUPPORT@ipv6", "0s SYN refuse/4, 0s SYN errno=EAFNOSUPPORT/6, 50ms PUT/4, 50ms GET/4", base4, 0, 2},
		{"IPv6 recovers first", "refuse@ipv4", "refuse@ipv6x2,ok", "0s SYN refuse/4, 0s SYN refuse/6, 50ms SYN refuse/4, 50ms SYN refuse/6, 150ms SYN refuse/4, 150ms PUT/6, 150ms GET/6", base6, 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := raced(t, tt.ipv4, tt.ipv6).limits(tt.attempts, time.Minute).run(t)
			if got := tr.families(); got != tt.trace {
				t.Errorf("trace: %s\nwant:  %s", got, tt.trace)
			}
			if tr.exit != tt.exit || tr.status.Attempts != tt.attempts {
				t.Errorf("exit %d, %d attempts", tr.exit, tr.status.Attempts)
			}
			if tt.endpoint != "" && (tr.status.Endpoint == nil || *tr.status.Endpoint != tt.endpoint) {
				t.Errorf("endpoint %v, want %s", tr.status.Endpoint, tt.endpoint)
			}
		})
	}
}

// The class of a race is that of IPv4, unless IPv4 is unreachable, or blocked while IPv6
// is reached. The message names both families, except an IPv6 without a route.
func TestRaceFailure(t *testing.T) {
	for _, tt := range []struct{ name, ipv4, ipv6, class string }{
		{"IPv4 unreachable", "unreachable@ipv4", "refuse@ipv6", "connection-refused"},
		{"IPv6 unreachable", "refuse@ipv4", "unreachable@ipv6", "connection-refused"},
		{"IPv4 blocked, and IPv6 unreachable", "blocked@ipv4", "unreachable@ipv6", "blocked"},
		{"IPv6 blocked, and IPv4 late", "unreachable@ipv4", "blocked@ipv6", "unreachable"},
		{"both blocked", "blocked@ipv4", "blocked@ipv6", "blocked"},
		{"IPv6 blocked, and an IPv4 timeout", "blackhole@ipv4", "blocked@ipv6", "connect-timeout"},
		{"IPv6 got further", "reset@ipv4", "hang@ipv6", "connection-reset"},
		{"IPv6 reached, and IPv4 blocked", "blocked@ipv4", "refuse@ipv6", "connection-refused"},
		{"equal", "refuse@ipv4", "refuse@ipv6", "connection-refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := raced(t, tt.ipv4, tt.ipv6).rule("retry", "", "unreachable", "blocked").limits(2, time.Minute).run(t)
			if tr.errorCounts() != tt.class+":2" || tr.status.Attempts != 2 || tr.status.Requests != 4 {
				t.Errorf("errors %s, %d attempts, %d requests", tr.errorCounts(), tr.status.Attempts, tr.status.Requests)
			}
			message := tr.status.LastError.Message
			at4, at6 := strings.Index(message, "127.0.0.1"), strings.Index(message, "[::1]")
			if at4 < 0 || (at6 < at4) != (tt.ipv6 == "unreachable@ipv6") {
				t.Errorf("message %q", message)
			}
		})
	}
}

// The deadline cuts both sides, and the only attempt counts once.
func TestRaceDeadline(t *testing.T) {
	for fault, class := range map[string]string{"blackhole": "connect-timeout", "hang": "read-timeout"} {
		tr := raced(t, fault, "").limits(0, 200*time.Millisecond).run(t)
		tr.wantEnd(t, want{75, "failed", class, 1, 2, class + ":1", 200 * time.Millisecond})
	}
	// One side is connecting, the other waits for an answer.
	tr := raced(t, "blackhole@ipv4", "hang@ipv6").limits(0, 200*time.Millisecond).run(t)
	tr.wantEnd(t, want{75, "failed", "read-timeout", 1, 2, "read-timeout:1", 200 * time.Millisecond})
}

// An answer from IPv6 does not end the wait while IPv4 may be late. If IPv4 never answers,
// the last answer from IPv6 decides how the gate ends.
func TestRaceWaitsForIPv4(t *testing.T) {
	for _, late := range []string{"unreachable", "refuse", "blackhole", "hang", "reset"} {
		for _, answer := range []string{"403", "404", "503", "html"} {
			t.Run(late+" and "+answer, func(t *testing.T) {
				recovers := raced(t, late+"@ipv4:10s,ok", answer+"@ipv6").limits(0, time.Minute).run(t)
				if recovers.exit != readiness.ExitOK || recovers.elapsed > 13*time.Second || *recovers.status.Endpoint != base4 {
					t.Errorf("exit %d after %v", recovers.exit, recovers.elapsed)
				}
				exits := map[string]readiness.Exit{"403": 69, "404": 75, "503": 75, "html": 76}
				never := raced(t, late+"@ipv4", answer+"@ipv6").limits(0, 10*time.Second).run(t)
				if never.exit != exits[answer] || never.elapsed != 10*time.Second {
					t.Errorf("exit %d after %v, want %d at the deadline", never.exit, never.elapsed, exits[answer])
				}
				last := never.status.LastError
				if answer == "403" && (last.Class != "disabled" || !strings.Contains(last.Hint, "HttpEndpoint")) {
					t.Errorf("last error %+v, want that IMDS is disabled", last)
				}
			})
		}
	}
}

// on_disabled applies if only IPv6 answers that IMDS is disabled.
func TestRaceDisabledOverIPv6(t *testing.T) {
	tr := raced(t, "blackhole@ipv4", "403@ipv6").limits(0, 5*time.Second)
	tr.config.OnDisabled = readiness.Continue
	if tr.run(t); tr.exit != readiness.ExitOK || tr.status.State != "degraded" {
		t.Errorf("exit %d, state %s", tr.exit, tr.status.State)
	}
}
