// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Virtual time begins at midnight UTC on 2000-01-01, a Saturday.
func TestRetryAfter(t *testing.T) {
	const (
		long = 20 * 365 * 24 * time.Hour // longer than anybody waits
		date = "Date: Sat, 01 Jan 2000 12:00:00 GMT\r\n"
	)
	for _, tt := range []struct {
		name, headers string
		want          time.Duration // long: at least that
	}{
		{"none", "", 0},
		{"seconds", "Retry-After: 120\r\n", 2 * time.Minute},
		{"zero", "Retry-After: 0\r\n", 0},
		{"spaces", "Retry-After:   7  \r\n", 7 * time.Second},
		{"any case", "retry-after: 7\r\n", 7 * time.Second},
		{"leading zeroes", "Retry-After: 007\r\n", 7 * time.Second},
		{"a year", "Retry-After: 31536000\r\n", 365 * 24 * time.Hour},
		{"past 32 bits", "Retry-After: 4294967297\r\n", long},
		{"past a duration", "Retry-After: 9223372037\r\n", long},
		{"past 64 bits", "Retry-After: 18446744073709551617\r\n", long},
		{"4 KiB of nines", "Retry-After: " + strings.Repeat("9", 4096) + "\r\n", long},
		{"empty", "Retry-After:\r\n", 0},
		{"negative", "Retry-After: -1\r\n", 0},
		{"signed", "Retry-After: +1\r\n", 0},
		{"fraction", "Retry-After: 1.5\r\n", 0},
		{"exponent", "Retry-After: 1e3\r\n", 0},
		{"unit", "Retry-After: 5s\r\n", 0},
		{"words", "Retry-After: soon\r\n", 0},
		{"other digits", "Retry-After: \u0665\r\n", 0},
		{"date, by the local clock", "Retry-After: Sat, 01 Jan 2000 00:00:30 GMT\r\n", 30 * time.Second},
		{"date, by the answer's clock", date + "Retry-After: Sat, 01 Jan 2000 12:00:10 GMT\r\n", 10 * time.Second},
		{"date, the answer's clock years ahead", "Date: Tue, 01 Jul 2025 10:00:00 GMT\r\nRetry-After: Tue, 01 Jul 2025 10:01:00 GMT\r\n", time.Minute},
		{"date, the answer's clock far behind", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nRetry-After: Thu, 01 Jan 1970 00:00:05 GMT\r\n", 5 * time.Second},
		{"date, the answer's clock is garbage", "Date: noon\r\nRetry-After: Sat, 01 Jan 2000 00:00:30 GMT\r\n", 30 * time.Second},
		{"date, RFC 850", date + "Retry-After: Saturday, 01-Jan-00 12:00:10 GMT\r\n", 10 * time.Second},
		{"date, asctime", date + "Retry-After: Sat Jan  1 12:00:10 2000\r\n", 10 * time.Second},
		{"date in the past", date + "Retry-After: Sat, 01 Jan 2000 11:59:59 GMT\r\n", 0},
		{"date now", date + "Retry-After: Sat, 01 Jan 2000 12:00:00 GMT\r\n", 0},
		{"date far away", date + "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", long},
		{"date, half of it", "Retry-After: Sat, 01 Jan\r\n", 0},
		{"RFC 3339", "Retry-After: 2000-01-01T00:01:00Z\r\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, status := range []string{"429 Too Many Requests", "503 Service Unavailable"} {
					_, err := get(t, "x", answer(status, tt.headers, "<html>"))
					got := failed(t)(nil, err).RetryAfter
					if got != tt.want && !(tt.want == long && got > long) {
						t.Errorf("%s: RetryAfter = %v, want %v", status, got, tt.want)
					}
				}
			})
		})
	}
}

// The token's answer may ask for it too.
func TestRetryAfterOfThePUT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(says(answer("429 Too Many Requests", "Retry-After: 3\r\n", "")), nil)
		e := mustFail(t, w.client(four))
		if e.Op != "PUT" || e.Status != 429 || e.RetryAfter != 3*time.Second {
			t.Errorf("got %+v, want 3s from the PUT", e)
		}
	})
}
