// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// FuzzRetryAfter checks that the wait is never negative, that it does not change with
// spaces around the value, and that a value of digits only is a number of seconds. It
// is in package imds, because it calls retryAfter.
func FuzzRetryAfter(f *testing.F) {
	const date = "Sat, 01 Jan 2000 12:00:00 GMT"
	for _, seed := range []string{
		"", " ", "0", "7", "007", "31536000", "2147483648", "18446744073709551617", strings.Repeat("9", 300), "-1", "+1", "1.5", "1e3", "5s", "soon",
		"\u0665", "Sat, 01 Jan 2000 12:00:10 GMT", "Saturday, 01-Jan-00 12:00:10 GMT", "Sat Jan  1 12:00:10 2000", "Fri, 31 Dec 9999 23:59:59 GMT",
		"Thu, 01 Jan 1970 00:00:00 GMT", "2000-01-01T00:01:00Z", "Sat, 01 Jan",
	} {
		f.Add(seed, date)
		f.Add(seed, "")
		f.Add(date, seed)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		read := func(value string) time.Duration {
			h := textproto.MIMEHeader{}
			h.Set("Retry-After", value)
			h.Set("Date", date)
			return retryAfter(h)
		}
		got := read(value)
		if got < 0 {
			t.Errorf("%q, Date %q: %v", value, date, got)
		}
		trimmed := strings.TrimSpace(value)
		digits := strings.Trim(trimmed, "0123456789") == ""
		if _, err := http.ParseTime(trimmed); err != nil && !digits && got != 0 {
			t.Errorf("%q is neither a number nor a date, but means %v", value, got)
		}
		if _, err := http.ParseTime(date); err != nil && !digits {
			return // a date is compared with the clock, which moves on
		}
		if again := read(" \t" + trimmed + " "); again != got {
			t.Errorf("%q, Date %q: %v, and with spaces around it %v", value, date, got, again)
		}
		if digits && trimmed != "" {
			if longer := read("0" + trimmed); longer != got {
				t.Errorf("%q: %v, and with a leading zero %v", value, got, longer)
			}
			if more := read(trimmed + "0"); more < got {
				t.Errorf("%q: %v, and ten times as much %v", value, got, more)
			}
		}
	})
}
