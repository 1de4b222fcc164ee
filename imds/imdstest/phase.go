// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Phase is one step of a schedule: a fault, what it applies to, and how long it
// lasts. The zero value is "ok" forever. [ParseSchedule] makes phases from text,
// and [Phase.String] returns the text.
type Phase struct {
	// Fault is a name of [ScheduleHelp] or an HTTP status in three digits. If
	// empty, it is "ok".
	Fault string
	// Value is the fault's argument, as in big=N. It is empty if the fault takes
	// none.
	Value string
	// RetryAfter is the Retry-After header of a status, sent as it is. If empty,
	// the header is not sent.
	RetryAfter string
	// Method limits a request fault to PUT or GET. If empty, it applies to both.
	Method string
	// Family limits the fault to "ipv4" or "ipv6". If empty, it applies to both.
	Family string
	// Path limits a request fault to paths below the version that match a glob: *
	// and ? within a segment, ** for any number of segments. A glob without a
	// final "/" also matches the listing of a directory. If empty, the fault
	// applies to every path.
	Path string
	// For is how long the phase lasts, at most 168 h. If zero, it has no limit.
	For time.Duration
	// Count is how many requests (or connections, for a connect fault) the phase
	// decides before it ends, at most 1000000. If zero, it has no limit. At most
	// one of For and Count is set, and only the last phase may have neither.
	Count int
}

// The limits of a phase and its values.
const (
	maxCount   = 1_000_000
	maxFor     = 168 * time.Hour
	maxBig     = 64 << 20
	maxInterim = 1000
)

var (
	// suffix is how the text of a phase ends if it is limited in time or number.
	// Other text that ends in this way must be quoted.
	suffix = regexp.MustCompile(`(?:x([0-9]+)|:([0-9a-zµ.]+))$`)
	// plainValue and plainPath need no quotes unless they end like a suffix.
	plainValue = regexp.MustCompile(`^[A-Za-z0-9._+/-]+$`)
	plainPath  = regexp.MustCompile(`^[A-Za-z0-9._+/*?=:-]+$`)
	// reserved words after "@" are not paths.
	reserved = regexp.MustCompile(`^(put|get|ipv4|ipv6)$`)
)

// String returns the phase in the grammar of [ScheduleHelp].
func (p Phase) String() string {
	var b strings.Builder
	b.WriteString(p.name())
	if kind := kindOf(p.Fault); p.Value != "" || kind.value && !kind.optional {
		b.WriteString("=" + quote(p.Value, plainValue))
	}
	if p.RetryAfter != "" {
		b.WriteString(";retry-after=" + quote(p.RetryAfter, plainValue))
	}
	if p.Method != "" {
		b.WriteString("@" + strings.ToLower(p.Method))
	}
	if p.Family != "" {
		b.WriteString("@" + p.Family)
	}
	if reserved.MatchString(p.Path) {
		b.WriteString("@" + strconv.Quote(p.Path))
	} else if p.Path != "" {
		b.WriteString("@" + quote(p.Path, plainPath))
	}
	if p.Count > 0 {
		b.WriteString("x" + strconv.Itoa(p.Count))
	}
	if p.For > 0 {
		b.WriteString(":" + p.For.String())
	}
	return b.String()
}

// quote returns s as it is if the parser reads it back unchanged, and as a Go
// string literal otherwise.
func quote(s string, plain *regexp.Regexp) string {
	const count = "x1" // may follow
	if plain.MatchString(s) && !suffix.MatchString(s) && suffix.FindString(s+count) == count {
		return s
	}
	return strconv.Quote(s)
}

// name returns the fault, "ok" for the zero value.
func (p Phase) name() string {
	if p.Fault == "" {
		return "ok"
	}
	return p.Fault
}

// fault returns the fault and its value as in a trace, and "" for ok.
func (p Phase) fault() string {
	if p.name() == "ok" {
		return ""
	}
	return Phase{Fault: p.Fault, Value: p.Value, RetryAfter: p.RetryAfter}.String()
}

// checkPhases returns an error if a phase is invalid or never reached.
func checkPhases(phases []Phase) error {
	for i, p := range phases {
		if err := p.check(); err != nil {
			return fmt.Errorf("phase %d, %q: %w", i+1, p, err)
		}
		if p.For == 0 && p.Count == 0 && i < len(phases)-1 {
			return fmt.Errorf("phase %d, %q: it never ends, so %q is never reached: add :DURATION or xCOUNT", i+1, p, phases[i+1])
		}
	}
	return nil
}

// check returns an error if the phase is invalid.
func (p Phase) check() error {
	kind, isStatus := kindOf(p.Fault), statusOf(p.Fault) != 0
	switch {
	case p.For < 0 || p.For > maxFor || p.Count < 0 || p.Count > maxCount:
		return fmt.Errorf("must have a duration of 0 to %v and a count of 0 to %d", maxFor, maxCount)
	case p.For > 0 && p.Count > 0:
		return errors.New("must have a duration or a count, not both")
	case !kind.known:
		return fmt.Errorf("unknown fault %q: must be a status of 100 to 599 or a name such as refuse, blackhole, hang, reset or ok (imds-sim --help lists all)", p.Fault)
	case kind.connect && (p.Method != "" || p.Path != ""):
		return fmt.Errorf("%s happens before there is a request: only @ipv4 and @ipv6 can limit it", p.Fault)
	case p.RetryAfter != "" && !isStatus:
		return fmt.Errorf("%s cannot have a Retry-After: only a status has one", p.name())
	case !isHeaderValue(p.RetryAfter):
		return fmt.Errorf("retry-after %q must not contain CR, LF or NUL", p.RetryAfter)
	case p.Method != "" && p.Method != "PUT" && p.Method != "GET":
		return fmt.Errorf("method %q: must be PUT or GET", p.Method)
	case p.Family != "" && p.Family != "ipv4" && p.Family != "ipv6":
		return fmt.Errorf("family %q: must be ipv4 or ipv6", p.Family)
	case !kind.value && p.Value != "":
		return fmt.Errorf("%s takes no value", p.name())
	}
	for segment := range strings.SplitSeq(p.Path, "/") {
		if _, err := path.Match(segment, ""); err != nil {
			return fmt.Errorf("path %q has a bracket that is not closed", p.Path)
		}
	}
	return p.checkValue(kind)
}

// checkValue returns an error if the fault's value is invalid.
func (p Phase) checkValue(kind faultKind) error {
	switch p.Fault {
	case "errno":
		if errno, _ := errnoOf(p); errno == 0 {
			return fmt.Errorf("unknown errno %q: must be an error of connect(2) or socket(2), such as ENETDOWN", p.Value)
		}
	case "big", "interim":
		most := map[string]int{"big": maxBig, "interim": maxInterim}[p.Fault]
		if n, err := strconv.Atoi(p.Value); err != nil || n < 1 || n > most {
			return fmt.Errorf("%s=%s: must be 1 to %d", p.Fault, p.Value, most)
		}
	case "ttl":
		if !isHeaderValue(p.Value) {
			return fmt.Errorf("ttl %q must not contain CR, LF or NUL", p.Value)
		}
	case "slow", "drip":
		if p.Value == "" && kind.optional {
			return nil
		}
		if d, err := time.ParseDuration(p.Value); err != nil || d <= 0 || d > maxFor {
			return fmt.Errorf("%s=%s: must be 1ns to %v, with a unit", p.Fault, p.Value, maxFor)
		}
	}
	return nil
}

// isHeaderValue reports whether s can be the value of a header without ending it.
func isHeaderValue(s string) bool {
	return !strings.ContainsAny(s, "\r\n\x00")
}
