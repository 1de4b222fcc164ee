// SPDX-License-Identifier: Apache-2.0

package words_test

import (
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/internal/words"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                     "0 s",
		0:                                "0 s",
		12 * time.Millisecond:            "12 ms",
		999900 * time.Microsecond:        "999 ms",
		2300 * time.Millisecond:          "2.3 s",
		2 * time.Second:                  "2 s",
		12340 * time.Millisecond:         "12 s",
		59600 * time.Millisecond:         "1 min",
		5 * time.Minute:                  "5 min",
		192 * time.Second:                "3 min 12 s",
		65 * time.Minute:                 "1 h 5 min",
		47*time.Hour + 59*time.Minute:    "47 h 59 min",
		12*24*time.Hour + 3*time.Hour:    "12 d 3 h",
		time.Hour + 59*time.Second:       "1 h",
		3*24*time.Hour + 12*time.Minute:  "3 d",
		10*time.Second - time.Nanosecond: "10 s",
	} {
		if got := words.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 120 * time.Millisecond: "0.1 s", 3 * time.Second: "3.0 s", 12 * time.Second: "12 s",
	} {
		if got := words.Seconds(d); got != want {
			t.Errorf("%v in seconds is %q, want %q", d, got, want)
		}
	}
}

func TestForeignText(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"plural of none", words.Plural(0, "attempt"), "0 attempts"},
		{"plural of one", words.Plural(1, "attempt"), "1 attempt"},
		{"short enough", words.Shorten("abc", 3), "abc"},
		{"cut", words.Shorten("abcd", 3), "abc..."},
		{"cut between characters", words.Shorten("a\u00e9", 2), "a..."},
		{"nothing to keep", words.Shorten("\xbf\xbf\xbf", 1), "..."},
		{"excerpt", words.Excerpt("\x1b[1m\u00e9"), `"\x1b[1m\u00e9"`},
		{"one line", words.OneLine(" a\n\tb\x1b[1m \xff"), "a b [1m \uFFFD"},
		{"printable", words.Printable("a\nb\xff"), "a\uFFFDb\uFFFD"},
		{"text that changes direction", words.OneLine("a\u202eb") + words.Printable("a\u2066b"), "a ba\uFFFDb"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestShortenIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, most := rapid.String().Draw(t, "s"), rapid.IntRange(0, 40).Draw(t, "most")
		got := words.Shorten(s, most)
		if len(got) > most+len("...") || !utf8.ValidString(got) {
			t.Fatalf("Shorten(%q, %d) = %q", s, most, got)
		}
	})
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"region", "region", 0},
		{"regoin", "region", 1},
		{"regio", "region", 1},
		{"kitten", "sitting", 3},
		{"caf\u00e9", "cafe", 1},
		{"ca", "abc", 3},
	} {
		if got, back := words.Distance(tt.a, tt.b), words.Distance(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("distance of %q and %q is %d and %d, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}
