// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// An answer that is not complete within read_timeout, 2 s with boot and 1 s with sdk, in
// any phase.
func TestGateReadTimeout(t *testing.T) {
	for _, tt := range []struct{ fault, event string }{
		{"hang@put", "PUT hang"},
		{"stall@put", "PUT 200 stall"},
		{"drip@put", "PUT 200 drip"}, // a byte every 100 ms: each read succeeds, but not the request
		{"slow=1h@put", "PUT 200 slow=1h"},
		{"hang@get", "DOC hang"},
		{"stall@get", "DOC 200 stall"},
		{"drip@get", "DOC 200 drip"},
		{"slow=1h@get", "DOC 200 slow=1h"},
	} {
		row := answerRow{fault: tt.fault, event: tt.event, class: "read-timeout", exit: 75, retry: notSDK}
		c := classRow{name: tt.fault, fault: tt.fault}
		c.bootTrace, c.boot = row.expected("boot", " @ 0s 2.05s 4.15s", 3, 6150*time.Millisecond)
		c.toggleTrace, c.toggle = row.expected("toggle", " @ 0s 2s 5s 10s", 4, 11*time.Second)
		c.sdkTrace, c.sdk = row.expected("sdk", "", 1, 0)
		c.sdk.elapsed = time.Second
		c.check(t)
	}
}

// A 401 to a GET drops the token, so that each attempt requests a new one.
func TestGate401(t *testing.T) {
	const boot = "PUT 200 @ 0s; DOC 401 @ 0s; PUT 200 @ 50ms; DOC 401 @ 50ms; PUT 200 @ 150ms; DOC 401 @ 150ms"
	const sdk = "PUT 200 @ 0s; DOC 401 @ 0s; PUT 200 @ 1s; DOC 401 @ 1s; PUT 200 @ 3s; DOC 401 @ 3s; PUT 200 @ 7s; DOC 401 @ 7s"
	four := want{75, "failed", "401", 4, 8, "401:4", 7 * time.Second}
	classRow{
		name: "401@get", fault: "401@get",
		bootTrace: boot, boot: want{75, "failed", "401", 3, 6, "401:3", 150 * time.Millisecond},
		sdkTrace: sdk, sdk: four, toggleTrace: sdk, toggle: four,
	}.check(t)
}

// If the server forgets a token before it expires, one 401 follows, and the token is
// renewed.
func TestGateTokenForgotten(t *testing.T) {
	tr := faulty(t, "").require(required).gateOnly()
	tr.sim.TokenLifetime = 2 * time.Second
	tr.sim.Late = map[string]time.Duration{"meta-data/tags": 3 * time.Second}
	tr.run(t)
	tr.wantTrace(t, "PUT 200 @ 0s; DOC 200 @ 0s; REQ 404 @ 0s 50ms 150ms 350ms 750ms 1.25s 1.75s; "+
		"REQ 401 @ 2.25s; PUT 200 @ 2.75s; REQ 404 @ 2.75s; REQ 200 @ 3.25s 3.25s")
}

// Failures of a required path other than the identity document.
func TestGateRequired(t *testing.T) {
	const where = "@meta-data/tags/**"
	for _, tt := range []struct {
		fault, event, class string
		exit                readiness.Exit
		retried             bool
	}{
		{"404", "REQ 404", "404", 75, true},
		{"403", "REQ 403", "403", 75, false}, // IMDS is not disabled, because it answered before
		{"400", "REQ 400", "400", 75, false},
		{"empty", "REQ 200 empty", "empty", 75, true},
		{"204", "REQ 204", "empty", 75, true},
		{"302", "REQ 302", "bad-response", 76, true},
		{"big=262145", "REQ 200 big=262145", "too-large", 76, false},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			tr := faulty(t, tt.fault+where).require(required).limits(3, time.Minute).gateOnly().run(t)
			times, attempts, elapsed := " @ 0s", 1, time.Duration(0)
			if tt.retried {
				times, attempts, elapsed = " @ 0s 50ms 150ms", 3, 150*time.Millisecond
			}
			tr.wantTrace(t, "PUT 200 @ 0s; DOC 200 @ 0s; "+tt.event+times)
			w := failedAlike(tt.exit, tt.class, attempts, elapsed)
			w.attempts, w.requests = attempts+1, attempts+2
			tr.wantEnd(t, w)
			if r := tr.status.Required; !r[imds.IdentityPath].OK || r[required].OK || *r[required].Class != tt.class {
				t.Errorf("required: %v", r)
			}
		})
	}
}

// After two failures of any kind that boot retries, the third attempt succeeds.
func TestGateRecovers(t *testing.T) {
	for _, fault := range []string{
		"refuse", "blackhole", "errno=EMFILE", "errno=ECONNRESET", "hang@get", "stall@put", "reset@get", "truncate@get",
		"401@get", "401@put", "404@put", "404@get", "408@get", "429@put", "500@put", "503@get", "302@get", "nottl",
		"garbage@put", "html@get", "204@get", "empty@get",
	} {
		t.Run(fault, func(t *testing.T) {
			tr := faulty(t, fault+"x2,ok").gateOnly().run(t)
			if tr.exit != 0 || tr.status.State != "ready" || tr.status.Attempts != 3 {
				t.Errorf("exit %d, state %s, %d attempts", tr.exit, tr.status.State, tr.status.Attempts)
			}
		})
	}
}

// A rule decides before the toggle, and the toggle before the preset.
func TestGatePrecedence(t *testing.T) {
	for _, tt := range []struct {
		name, preset, fault string
		toggle              bool
		rule                policy.Action
		on, path            string
		exit                readiness.Exit
		attempts            int
	}{
		{"a rule beats the toggle", policy.PresetSDK, "refusex2,ok", false, policy.Retry, "connection-refused", "", 0, 3},
		{"a rule that waits uses up no attempt", policy.PresetSDK, "refusex2,ok", false, policy.Wait, "connection-refused", "", 0, 1},
		{"the toggle beats boot", policy.PresetBoot, "refusex2,ok", false, policy.Fail, "503", "", 75, 1},
		{"a rule beats boot", policy.PresetBoot, "503@getx2,ok", true, policy.Fail, "5xx", "", 75, 1},
		{"a rule for another path", policy.PresetBoot, "503@getx2,ok", true, policy.Fail, "5xx", "meta-data/**", 0, 3},
		{"a rule for this path", policy.PresetBoot, "503@getx2,ok", true, policy.Fail, "5xx", "dynamic/**", 75, 1},
		{"a disabled IMDS is a 403", policy.PresetBoot, "403@getx2,ok", true, policy.Retry, "403", "", 0, 3},
		{"a disabled IMDS is a 4xx", policy.PresetBoot, "403@putx2,ok", true, policy.Retry, "4xx", "", 0, 3},
		{"a required path that is absent fails", policy.PresetBoot, "404@getx2,ok", true, policy.Absent, "404", "", 75, 1},
		{"disabled is its own class", policy.PresetBoot, "403@getx2,ok", true, policy.Retry, "disabled", "", 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).preset(t, tt.preset, tt.toggle).rule(tt.rule, tt.path, tt.on).gateOnly().run(t)
			if tr.exit != tt.exit || tr.status.Attempts != tt.attempts {
				t.Errorf("exit %d, %d attempts, want %d, %d", tr.exit, tr.status.Attempts, tt.exit, tt.attempts)
			}
		})
	}
}
