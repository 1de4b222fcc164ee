// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/imds-ready/imds-ready/internal/words"
)

// maxShown bounds, in bytes, what a problem repeats of a file: enough to
// recognize it, short enough for a log line.
const maxShown = 120

// echo prints a piece of a file in a problem: as it was written, but on one
// line and shortened. The first cut bounds the work for a large value.
func echo(source string) string {
	var lines []string
	for line := range strings.Lines(words.Shorten(source, 4*maxShown)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return words.Shorten(visible(strings.Join(lines, " ")), maxShown)
}

// quote prints a string in a problem.
func quote(s string) string { return words.Shorten(tomlString(s), maxShown) }

// visible escapes, as TOML does, what a terminal or the journal would act on.
// Unlike words.Printable it covers the characters that reorder text.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	return b.String()
}

var tomlEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`)

// tomlString quotes a string. strconv.Quote would not do: it writes \a and
// \x7f, which are not escapes of TOML 1.0.
func tomlString(s string) string { return `"` + visible(tomlEscapes.Replace(s)) + `"` }

// tomlStrings prints a list of strings.
func tomlStrings(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = tomlString(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tomlFloat prints a finite float so that TOML takes it for one: 2.0.
func tomlFloat(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// tomlDuration prints a duration as people write it: "5m", not "5m0s".
func tomlDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return `"` + s + `"`
}

// either joins alternatives: a, b or c.
func either(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// noun names the type of a value of a file, for "must be ..., not a string".
func noun(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	default:
		return "a list"
	}
}
