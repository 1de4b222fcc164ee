// SPDX-License-Identifier: Apache-2.0

// Package words puts values into text for people: durations, plurals, quoted
// input, and foreign text that must not disturb a terminal or a log. Every
// package that prints something uses it, so that one thing looks the same in
// the log, in STATUS= and in the output of the commands.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Duration formats a duration with one or two units: 12 ms, 2.3 s, 12 s,
// 5 min, 1 h 5 min, 12 d 3 h. A negative duration is printed as zero.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch s := d.Round(time.Second); {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case s < time.Minute:
		return fmt.Sprintf("%d s", s/time.Second)
	case s < time.Hour:
		return twoUnits(s, time.Minute, "min", time.Second, "s")
	case s < 2*day:
		return twoUnits(s, time.Hour, "h", time.Minute, "min")
	default:
		return twoUnits(s, day, "d", time.Hour, "h")
	}
}

func twoUnits(d, big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
	s := fmt.Sprintf("%d %s", d/big, bigUnit)
	if rest := d % big / small; rest > 0 {
		s += fmt.Sprintf(" %d %s", rest, smallUnit)
	}
	return s
}

// Seconds formats like [Duration], except that less than 10 s is always in
// seconds with one decimal: 0.1 s.
func Seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return Duration(d)
}

// Plural returns "1 attempt" or "5 attempts".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Shorten cuts s to at most the given number of bytes, between two characters,
// and marks the cut with "...", which is not counted.
func Shorten(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	for bytes > 0 && !utf8.RuneStart(s[bytes]) {
		bytes--
	}
	return s[:bytes] + "..."
}

// Excerpt quotes the beginning of foreign text, in ASCII.
func Excerpt(s string) string { return strconv.QuoteToASCII(Shorten(s, 64)) }

// OneLine makes s valid UTF-8 on one line that cannot move a cursor: control
// characters and runs of white space become one space.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if moves(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

// Printable replaces control characters and bytes that are not UTF-8 by
// U+FFFD. Unlike [OneLine] it keeps different names different in length, so it
// is for names, such as the paths of a listing.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if moves(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// moves reports whether a character moves a terminal's cursor or changes the
// direction of text: it could make a line look like another one.
func moves(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// Distance returns how many characters must be inserted, deleted, replaced or
// swapped with their neighbor to turn a into b (optimal string alignment).
// Its cost is the product of the lengths, so callers bound them.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := func(first int) []int {
		r := make([]int, len(y)+1)
		r[0] = first
		return r
	}
	before, above := row(0), row(0)
	for j := range above {
		above[j] = j
	}
	for i := range x {
		here := row(i + 1)
		for j := range y {
			cost := above[j]
			if x[i] != y[j] {
				cost++
			}
			here[j+1] = min(cost, above[j+1]+1, here[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				here[j+1] = min(here[j+1], before[j-1]+1)
			}
		}
		before, above = above, here
	}
	return above[len(y)]
}
