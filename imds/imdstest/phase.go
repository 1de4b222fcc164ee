// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Phase is one step of a schedule: a fault, on what, and for how long. The
// zero value is "ok for ever". [ParseSchedule] makes phases from text, and
// [Phase.String] gives the text back.
type Phase struct {
	// Fault is a name of [ScheduleHelp], or an HTTP status in three digits;
	// "" is "ok".
	Fault string
	// Value is the fault's argument, as in big=N; "" where it takes none.
	Value string
	// RetryAfter is the Retry-After header of a status, verbatim; "": none.
	RetryAfter string
	// Method limits a request fault to PUT or GET; "": any.
	Method string
	// Family limits the fault to "ipv4" or "ipv6"; "": both.
	Family string
	// Path limits a request fault to paths below the version, by a glob: *
	// and ? within a segment, ** for any number of segments; "": any. A glob
	// without a final "/" matches the listing of a directory too.
	Path string
	// For is how long the phase lasts, at most 168 h; 0: no limit.
	For time.Duration
	// Count is how many requests (or connections, for a connect fault) the
	// phase decides before it ends, at most 1000000; 0: no limit. At most one
	// of For and Count is set, and neither only in the last phase.
	Count int
}

// suffix is how a phase's text ends when it is limited in time or number. What
// else ends so has to be quoted.
var suffix = regexp.MustCompile(`(?:x([0-9]+)|:([0-9a-zµ.]+))$`)

// String returns the phase in the grammar of [ScheduleHelp].
func (p Phase) String() string {
	var b strings.Builder
	b.WriteString(p.name())
	if p.Value != "" || takesValue(p.Fault) == valueRequired {
		b.WriteString("=" + quote(p.Value, false))
	}
	if p.RetryAfter != "" {
		b.WriteString(";retry-after=" + quote(p.RetryAfter, false))
	}
	if p.Method != "" {
		b.WriteString("@" + strings.ToLower(p.Method))
	}
	if p.Family != "" {
		b.WriteString("@" + p.Family)
	}
	if p.Path != "" {
		b.WriteString("@" + quote(p.Path, true))
	}
	if p.Count > 0 {
		b.WriteString("x" + strconv.Itoa(p.Count))
	}
	if p.For > 0 {
		b.WriteString(":" + p.For.String())
	}
	return b.String()
}

// name is the fault, "ok" for the zero value.
func (p Phase) name() string {
	if p.Fault == "" {
		return "ok"
	}
	return p.Fault
}

// fault is what a trace says of the phase: its name and value, "" for ok.
func (p Phase) fault() string {
	if p.name() == "ok" {
		return ""
	}
	return Phase{Fault: p.Fault, Value: p.Value, RetryAfter: p.RetryAfter}.String()
}

// quote returns s as it stands when the parser reads it back as it is, else as
// a Go string literal.
func quote(s string, path bool) string {
	plain := s != "" && !suffix.MatchString(s) && strings.IndexFunc(s, func(r rune) bool {
		return !plainRune(r, path)
	}) < 0
	if path && isWhere(s) {
		plain = false
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// plainRune reports whether r needs no quotes in a value or a path.
func plainRune(r rune, path bool) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	case path:
		return strings.ContainsRune("._+-/*?=:", r)
	}
	return strings.ContainsRune("._+-/", r)
}

// isWhere reports whether s is a reserved word after "@", not a path.
func isWhere(s string) bool {
	switch s {
	case "put", "get", "ipv4", "ipv6":
		return true
	}
	return false
}
