// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// Retry-After lengthens a pause, up to 30 s or max_backoff, on 429 and 503 only, and not
// with the preset sdk. The tests of package policy have more cases.
func TestRetryAfter(t *testing.T) {
	// The clock of the bubble begins at midnight UTC on 2000-01-01.
	const date = `"Sat, 01 Jan 2000 00:00:03 GMT"`
	for _, tt := range []struct {
		name, fault string
		preset      string
		trace       string
		elapsed     time.Duration
	}{
		{"429", "429;retry-after=2@putx1,ok", policy.PresetBoot, "PUT 429 429;retry-after=2 @ 0s; PUT 200 @ 2s; DOC 200 @ 2s", 2 * time.Second},
		{"to the GET", "503;retry-after=2@getx1,ok", policy.PresetBoot, "PUT 200 @ 0s; DOC 503 503;retry-after=2 @ 0s; DOC 200 @ 2s", 2 * time.Second},
		{"a date", "503;retry-after=" + date + "@putx1,ok", policy.PresetBoot, "PUT 503 503;retry-after=" + date + " @ 0s; PUT 200 @ 3s; DOC 200 @ 3s", 3 * time.Second},
		{"not on 408", "408;retry-after=2@putx1,ok", policy.PresetBoot, "PUT 408 408;retry-after=2 @ 0s; PUT 200 @ 50ms; DOC 200 @ 50ms", 50 * time.Millisecond},
		{"not under sdk", "503;retry-after=9@putx1,ok", policy.PresetSDK, "PUT 503 503;retry-after=9 @ 0s; PUT 200 @ 1s; DOC 200 @ 1s", time.Second},
		{"at most 30 s", "503;retry-after=31@putx1,ok", policy.PresetBoot, "PUT 503 503;retry-after=31 @ 0s; PUT 200 @ 30s; DOC 200 @ 30s", 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).preset(t, tt.preset, true).gateOnly().run(t)
			tr.wantTrace(t, tt.trace)
			if tr.status.Attempts != 2 || tr.elapsed != tt.elapsed || tr.exit != 0 {
				t.Errorf("exit %d, %d attempts in %v", tr.exit, tr.status.Attempts, tr.elapsed)
			}
		})
	}
}

// If Retry-After is longer than the time that is left, no attempt follows.
func TestRetryAfterNeverPastTheDeadline(t *testing.T) {
	tr := faulty(t, "503;retry-after=30@put").limits(0, 10*time.Second).run(t)
	tr.wantTrace(t, "PUT 503 503;retry-after=30 @ 0s")
	tr.wantEnd(t, want{75, "failed", "503", 1, 1, "503:1", 10 * time.Second})
}
