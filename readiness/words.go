// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/policy"
)

// phrase is a class in words, for STATUS= and the log.
func phrase(c policy.Class) string {
	if c.Answered() && len(c) == 3 {
		return "status " + string(c)
	}
	return strings.ReplaceAll(string(c), "-", " ")
}

// human is a duration for people: 12 ms, 2.3 s, 12 s, 5 min, 1 h 5 min.
func human(d time.Duration) string {
	switch s := d.Round(time.Second); {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case s < time.Minute:
		return fmt.Sprintf("%d s", s/time.Second)
	case s < time.Hour:
		return two(s/time.Minute, "min", s%time.Minute/time.Second, "s")
	default:
		return two(s/time.Hour, "h", s%time.Hour/time.Minute, "min")
	}
}

// inSeconds is human, but that a short time is in seconds as well: 0.1 s.
func inSeconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return human(d)
}

func two(n time.Duration, unit string, rest time.Duration, small string) string {
	if rest == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, rest, small)
}

// plural is "1 attempt", "5 attempts".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// maxStatus bounds STATUS=: systemd drops a datagram of more than PIPE_BUF (4096)
// bytes as a whole, READY=1 and ERRNO= included (its NOTIFY_BUFFER_MAX).
const maxStatus = 1024

// oneLine is s without what would end a line of STATUS= or move a cursor, and not
// too long.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")) // systemd drops a STATUS= that is not UTF-8
	return shorten(strings.Join(strings.Fields(s), " "), maxStatus)
}

// shorten cuts s to some bytes, between two characters.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// excerpt quotes the beginning of what the other side said.
func excerpt(s string) string { return strconv.QuoteToASCII(shorten(s, 64)) }

// atMost is " for 5 min at most", and nothing without a limit.
func atMost(deadline time.Duration) string {
	if deadline == 0 {
		return ""
	}
	return " for " + human(deadline) + " at most"
}
