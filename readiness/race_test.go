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

// raced is a trial in the mode auto: each schedule is one family's, and the
// identity document is all that is collected.
func raced(t *testing.T, ipv4, ipv6 string) *trial {
	t.Helper()
	tr := faulty(t, ipv4).also(ipv6).alone()
	tr.client.Endpoints = []string{base4, base6}
	return tr
}

// families is the trace with the family of each line.
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
		what := r.Kind
		if r.Fault != "" {
			what += " " + r.Fault
		}
		lines = append(lines, fmt.Sprintf("%v %s/%s", r.At, what, family))
	}
	return strings.Join(lines, ", ")
}

// IPv4 first, IPv6 after 150 ms or as soon as IPv4 fails. Only a token settles
// a race, and a race is one attempt.
func TestRace(t *testing.T) {
	tests := []struct {
		name, ipv4, ipv6 string
		trace            string
		endpoint         string
		exit             readiness.Exit
		attempts         int
	}{
		{"both alive", "", "", "0s PUT/4, 0s GET/4", base4, 0, 1},
		{"IPv4 refused", "refuse@ipv4", "", "0s SYN refuse/4, 0s PUT/6, 0s GET/6", base6, 0, 1},
		{"IPv4 unreachable", "unreachable@ipv4", "", "0s SYN unreachable/4, 0s PUT/6, 0s GET/6", base6, 0, 1},
		{"IPv4 a black hole", "blackhole@ipv4", "", "0s SYN blackhole/4, 150ms PUT/6, 150ms GET/6", base6, 0, 1},
		{"IPv4 silent", "hang@ipv4", "", "0s PUT hang/4, 150ms PUT/6, 150ms GET/6", base6, 0, 1},
		{"IPv4 resets", "reset@ipv4", "", "0s PUT reset/4, 0s PUT/6, 0s GET/6", base6, 0, 1},
		{"IPv4 slow, IPv6 dead", "slow=1s@put@ipv4", "blackhole@ipv6", "0s PUT slow=1s/4, 150ms SYN blackhole/6, 1s GET/4", base4, 0, 1},
		{"IPv4 slow, IPv6 alive", "slow=1s@put@ipv4", "", "0s PUT slow=1s/4, 150ms PUT/6, 150ms GET/6", base6, 0, 1},
		{"IPv4 says 403, and IPv6 has a token", "403@put@ipv4", "", "0s PUT 403/4, 0s PUT/6, 0s GET/6", base6, 0, 1},
		{"IPv4 says 403, and IPv6 is dead", "403@put@ipv4", "refuse@ipv6", "0s PUT 403/4, 0s SYN refuse/6", base4, 69, 1},
		{"IPv4 says 503 first", "503@put@ipv4x1,ok", "refuse@ipv6", "0s PUT 503/4, 0s SYN refuse/6, 50ms PUT/4, 50ms GET/4", base4, 0, 2},
		{"the winner goes silent: a new race, a new token", "hang@get@ipv4", "", "0s PUT/4, 0s GET hang/4, 2.05s PUT/4, 2.05s GET hang/4", "", 75, 2},
		{"the kernel has no IPv4", "errno=EAFNOSUPPORT@ipv4", "503@put@ipv6x1,ok", "0s SYN errno=EAFNOSUPPORT/4, 0s PUT 503/6, 50ms PUT/6, 50ms GET/6", base6, 0, 2},
		{"the kernel has no IPv6", "refuse@ipv4x1,ok", "errno=EAFNOSUPPORT@ipv6", "0s SYN refuse/4, 0s SYN errno=EAFNOSUPPORT/6, 50ms PUT/4, 50ms GET/4", base4, 0, 2},
		{"IPv6 heals first", "refuse@ipv4", "refuse@ipv6x2,ok", "0s SYN refuse/4, 0s SYN refuse/6, 50ms SYN refuse/4, 50ms SYN refuse/6, 150ms SYN refuse/4, 150ms PUT/6, 150ms GET/6", base6, 0, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := raced(t, tt.ipv4, tt.ipv6).patience(tt.attempts, time.Minute).run(t)
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

// The failure of a race is IPv4's, unless that is unreachable, or blocked while
// IPv6 is reached. The message names both families, but not an IPv6 that the
// machine does not have.
func TestRaceFailure(t *testing.T) {
	tests := []struct{ name, ipv4, ipv6, class string }{
		{"IPv4 is unreachable", "unreachable@ipv4", "refuse@ipv6", "connection-refused"},
		{"no IPv6", "refuse@ipv4", "unreachable@ipv6", "connection-refused"},
		{"IPv4 blocked beats unreachable", "blocked@ipv4", "unreachable@ipv6", "blocked"},
		{"IPv6 blocked says nothing of IPv4, which is only late", "unreachable@ipv4", "blocked@ipv6", "unreachable"},
		{"both blocked", "blocked@ipv4", "blocked@ipv6", "blocked"},
		{"a timeout beats blocked", "blackhole@ipv4", "blocked@ipv6", "connect-timeout"},
		{"IPv6 came further", "reset@ipv4", "hang@ipv6", "connection-reset"},
		{"IPv6 is reached where IPv4 is blocked", "blocked@ipv4", "refuse@ipv6", "connection-refused"},
		{"equal", "refuse@ipv4", "refuse@ipv6", "connection-refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := raced(t, tt.ipv4, tt.ipv6).rule("retry", "", "unreachable", "blocked").patience(2, time.Minute).run(t)
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

// The deadline cuts both sides, and the only attempt is counted once.
func TestRaceDeadline(t *testing.T) {
	for fault, class := range map[string]string{"blackhole": "connect-timeout", "hang": "read-timeout"} {
		tr := raced(t, fault, "").patience(0, 200*time.Millisecond).run(t)
		tr.wantEnd(t, want{75, "failed", class, 1, 2, class + ":1", 200 * time.Millisecond})
	}
	// One side in its connect, the other one waiting for an answer.
	tr := raced(t, "blackhole@ipv4", "hang@ipv6").patience(0, 200*time.Millisecond).run(t)
	tr.wantEnd(t, want{75, "failed", "read-timeout", 1, 2, "read-timeout:1", 200 * time.Millisecond})
}

// An answer of IPv6's never ends a wait while IPv4 may only be late. If IPv4 gives
// no answer until the end, IPv6's last answer decides how the gate ends.
func TestRaceWaitsForIPv4(t *testing.T) {
	for _, late := range []string{"unreachable", "refuse", "blackhole", "hang", "reset"} {
		for _, misled := range []string{"403", "404", "503", "html"} {
			t.Run(late+" and "+misled, func(t *testing.T) {
				heals := raced(t, late+"@ipv4:10s,ok", misled+"@ipv6").patience(0, time.Minute).run(t)
				if heals.exit != readiness.ExitOK || heals.elapsed > 13*time.Second || *heals.status.Endpoint != base4 {
					t.Errorf("exit %d after %v", heals.exit, heals.elapsed)
				}
				exits := map[string]readiness.Exit{"403": 69, "404": 75, "503": 75, "html": 76}
				never := raced(t, late+"@ipv4", misled+"@ipv6").patience(0, 10*time.Second).run(t)
				if never.exit != exits[misled] || never.elapsed != 10*time.Second {
					t.Errorf("exit %d after %v, want %d at the deadline", never.exit, never.elapsed, exits[misled])
				}
				last := never.status.LastError
				if misled == "403" && (last.Class != "disabled" || !strings.Contains(last.Hint, "HttpEndpoint")) {
					t.Errorf("last error %+v, want that IMDS is disabled", last)
				}
			})
		}
	}
}

// on_disabled decides too if only IPv6 has said that IMDS is disabled.
func TestRaceDisabledOverIPv6(t *testing.T) {
	tr := raced(t, "blackhole@ipv4", "403@ipv6").patience(0, 5*time.Second)
	tr.config.OnDisabled = readiness.Continue
	if tr.run(t); tr.exit != readiness.ExitOK || tr.status.State != "degraded" {
		t.Errorf("exit %d, state %s", tr.exit, tr.status.State)
	}
}
