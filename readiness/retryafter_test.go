// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// Retry-After lengthens a pause, up to 30 s or max_backoff, and never past the
// deadline; only on 429 and 503, and not under sdk.
func TestRetryAfter(t *testing.T) {
	// The bubble's clock starts at midnight UTC, 1 January 2000.
	const date = `"Sat, 01 Jan 2000 00:00:03 GMT"`
	tests := []struct {
		name, fault string
		preset      string
		maxBackoff  time.Duration
		trace       string
		attempts    int
		elapsed     time.Duration
	}{
		{"429", "429;retry-after=2@putx1,ok", policy.PresetBoot, 0, "PUT 429 429;retry-after=2 @ 0s; PUT 200 @ 2s; DOC 200 @ 2s", 2, 2 * time.Second},
		{"503", "503;retry-after=2@putx1,ok", policy.PresetBoot, 0, "PUT 503 503;retry-after=2 @ 0s; PUT 200 @ 2s; DOC 200 @ 2s", 2, 2 * time.Second},
		{"to the GET", "503;retry-after=2@getx1,ok", policy.PresetBoot, 0, "PUT 200 @ 0s; DOC 503 503;retry-after=2 @ 0s; DOC 200 @ 2s", 2, 2 * time.Second},
		{"a date", "503;retry-after=" + date + "@putx1,ok", policy.PresetBoot, 0, "PUT 503 503;retry-after=" + date + " @ 0s; PUT 200 @ 3s; DOC 200 @ 3s", 2, 3 * time.Second},
		{"not on 500", "500;retry-after=2@putx1,ok", policy.PresetBoot, 0, "PUT 500 500;retry-after=2 @ 0s; PUT 200 @ 50ms; DOC 200 @ 50ms", 2, 50 * time.Millisecond},
		{"not on 408", "408;retry-after=2@putx1,ok", policy.PresetBoot, 0, "PUT 408 408;retry-after=2 @ 0s; PUT 200 @ 50ms; DOC 200 @ 50ms", 2, 50 * time.Millisecond},
		{"not under sdk", "503;retry-after=9@putx1,ok", policy.PresetSDK, 0, "PUT 503 503;retry-after=9 @ 0s; PUT 200 @ 1s; DOC 200 @ 1s", 2, time.Second},
		{"shorter than the pause", "503;retry-after=0@putx1,ok", policy.PresetBoot, 0, "PUT 503 503;retry-after=0 @ 0s; PUT 200 @ 50ms; DOC 200 @ 50ms", 2, 50 * time.Millisecond},
		{"nonsense", "503;retry-after=soon@putx1,ok", policy.PresetBoot, 0, "PUT 503 503;retry-after=soon @ 0s; PUT 200 @ 50ms; DOC 200 @ 50ms", 2, 50 * time.Millisecond},
		{"at most 30 s", "503;retry-after=31@putx1,ok", policy.PresetBoot, 0, "PUT 503 503;retry-after=31 @ 0s; PUT 200 @ 30s; DOC 200 @ 30s", 2, 30 * time.Second},
		{"more digits than a duration holds", "503;retry-after=99999999999999999999@putx1,ok", policy.PresetBoot, 0, "PUT 503 503;retry-after=99999999999999999999 @ 0s; PUT 200 @ 30s; DOC 200 @ 30s", 2, 30 * time.Second},
		{"at most max_backoff where that is more", "503;retry-after=99@putx1,ok", policy.PresetBoot, 40 * time.Second, "PUT 503 503;retry-after=99 @ 0s; PUT 200 @ 40s; DOC 200 @ 40s", 2, 40 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault).preset(t, tt.preset, true).alone()
			if tt.maxBackoff > 0 {
				tr.config.Policy.Backoff.Max = tt.maxBackoff
			}
			tr.run(t)
			tr.wantTrace(t, tt.trace)
			if tr.status.Attempts != tt.attempts || tr.elapsed != tt.elapsed || tr.exit != 0 {
				t.Errorf("exit %d, %d attempts in %v", tr.exit, tr.status.Attempts, tr.elapsed)
			}
		})
	}
}

// A server that asks for more than the deadline leaves gets no further attempt.
func TestRetryAfterNeverPastTheDeadline(t *testing.T) {
	tr := faulty(t, "503;retry-after=30@put").patience(0, 10*time.Second).run(t)
	tr.wantTrace(t, "PUT 503 503;retry-after=30 @ 0s")
	tr.wantEnd(t, want{75, "failed", "503", 1, 1, "503:1", 10 * time.Second})
}
