// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// classRow is a fault that lasts forever, with the trace and the end of the wait with the
// presets boot, sdk, and sdk with the toggle (retry_connect_timeouts). Pauses have no
// jitter.
type classRow struct {
	name              string
	fault             string // a schedule
	boot, sdk, toggle want
	bootTrace         string
	sdkTrace          string
	toggleTrace       string
}

// check runs the row under the three policies.
func (row classRow) check(t *testing.T) {
	t.Run(row.name+"/boot", func(t *testing.T) {
		tr := faulty(t, row.fault).limits(3, 10*time.Second).gateOnly().run(t)
		tr.wantTrace(t, row.bootTrace)
		tr.wantEnd(t, row.boot)
	})
	t.Run(row.name+"/sdk", func(t *testing.T) {
		tr := faulty(t, row.fault).preset(t, policy.PresetSDK, false).gateOnly().run(t)
		tr.wantTrace(t, row.sdkTrace)
		tr.wantEnd(t, row.sdk)
	})
	t.Run(row.name+"/sdk with the toggle", func(t *testing.T) {
		tr := faulty(t, row.fault).preset(t, policy.PresetSDK, true).gateOnly().run(t)
		tr.wantTrace(t, row.toggleTrace)
		tr.wantEnd(t, row.toggle)
	})
}

// failedAlike returns the end of a run whose attempts had one request each and failed
// with one class.
func failedAlike(exit readiness.Exit, class string, attempts int, elapsed time.Duration) want {
	return want{exit, "failed", class, attempts, attempts, class + ":" + string(rune('0'+attempts)), elapsed}
}

// Failures of connect that take no time. Boot retries them up to max_attempts, and sdk
// only with the toggle.
func TestGateConnect(t *testing.T) {
	const boot, once, four = " @ 0s 50ms 150ms", " @ 0s", " @ 0s 1s 3s 7s"
	for _, tt := range []struct{ fault, class string }{
		{"refuse", "connection-refused"},
		{"errno=EMFILE", "local-error"},
		{"errno=ENFILE", "local-error"},
		{"errno=ENOBUFS", "local-error"},
		{"errno=ENOMEM", "local-error"},
		{"errno=ECONNRESET", "connection-reset"},
	} {
		classRow{
			name: tt.fault, fault: tt.fault,
			bootTrace: "SYN " + tt.fault + boot, boot: failedAlike(75, tt.class, 3, 150*time.Millisecond),
			sdkTrace: "SYN " + tt.fault + once, sdk: failedAlike(75, tt.class, 1, 0),
			toggleTrace: "SYN " + tt.fault + four, toggle: failedAlike(75, tt.class, 4, 7*time.Second),
		}.check(t)
	}
}

// With boot, only the deadline ends an unreachable network, and no attempt is used up.
func TestGateUnreachable(t *testing.T) {
	for _, fault := range []string{
		"unreachable", "errno=ENETUNREACH", "errno=EHOSTUNREACH", "errno=ENETDOWN", "errno=EADDRNOTAVAIL", "errno=EAFNOSUPPORT",
	} {
		classRow{
			name: fault, fault: fault,
			sdkTrace: "SYN " + fault + " @ 0s", sdk: failedAlike(75, "unreachable", 1, 0),
			toggleTrace: "SYN " + fault + " @ 0s 1s 3s 7s", toggle: failedAlike(75, "unreachable", 4, 7*time.Second),
			bootTrace: "SYN " + fault + " @ 0s 50ms 150ms 350ms 750ms 1.25s 1.75s 2.25s 2.75s 3.25s 3.75s 4.25s 4.75s 5.25s" +
				" 5.75s 6.25s 6.75s 7.25s 7.75s 8.25s 8.75s 9.25s 9.75s",
			boot: want{75, "failed", "unreachable", 0, 23, "unreachable:23", 10 * time.Second},
		}.check(t)
	}
}

// With boot, blocked is final, because a prohibit route does not disappear by itself.
func TestGateBlocked(t *testing.T) {
	for _, fault := range []string{"blocked", "errno=EACCES", "errno=EPERM", "errno=EINVAL"} {
		classRow{
			name: fault, fault: fault,
			bootTrace: "SYN " + fault + " @ 0s", boot: failedAlike(77, "blocked", 1, 0),
			sdkTrace: "SYN " + fault + " @ 0s", sdk: failedAlike(77, "blocked", 1, 0),
			toggleTrace: "SYN " + fault + " @ 0s 1s 3s 7s", toggle: failedAlike(77, "blocked", 4, 7*time.Second),
		}.check(t)
	}
}

// A dropped SYN costs connect_timeout, 250 ms with boot and 1 s with sdk. The kernel may
// also report ETIMEDOUT.
func TestGateConnectTimeout(t *testing.T) {
	classRow{
		name: "black hole", fault: "blackhole",
		bootTrace: "SYN blackhole @ 0s 300ms 650ms", boot: failedAlike(75, "connect-timeout", 3, 900*time.Millisecond),
		sdkTrace: "SYN blackhole @ 0s", sdk: failedAlike(75, "connect-timeout", 1, time.Second),
		toggleTrace: "SYN blackhole @ 0s 2s 5s 10s", toggle: failedAlike(75, "connect-timeout", 4, 11*time.Second),
	}.check(t)
	classRow{
		name: "ETIMEDOUT", fault: "errno=ETIMEDOUT",
		bootTrace: "SYN errno=ETIMEDOUT @ 0s 50ms 150ms", boot: failedAlike(75, "connect-timeout", 3, 150*time.Millisecond),
		sdkTrace: "SYN errno=ETIMEDOUT @ 0s", sdk: failedAlike(75, "connect-timeout", 1, 0),
		toggleTrace: "SYN errno=ETIMEDOUT @ 0s 1s 3s 7s", toggle: failedAlike(75, "connect-timeout", 4, 7*time.Second),
	}.check(t)
}

// The default curve without jitter, until IMDS answers.
func TestGateRefusedForTwoSeconds(t *testing.T) {
	tr := faulty(t, "refuse:2s,ok").gateOnly().run(t)
	tr.wantTrace(t, "SYN refuse @ 0s 50ms 150ms 350ms 750ms 1.25s 1.75s; PUT 200 @ 2.25s; DOC 200 @ 2.25s")
	tr.wantEnd(t, want{0, "ready", "connection-refused", 8, 9, "connection-refused:7", 2250 * time.Millisecond})
}
