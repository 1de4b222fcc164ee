// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSchedule bounds a schedule's text, in bytes.
const maxSchedule = 64 << 10

// ParseSchedule reads a schedule in the grammar of [ScheduleHelp]. An empty one
// is no phase at all: everything is ok. An error names the phase and what is
// legal there.
func ParseSchedule(s string) ([]Phase, error) {
	if len(s) > maxSchedule {
		return nil, fmt.Errorf("parsing schedule: %d bytes, at most %d are legal", len(s), maxSchedule)
	}
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	texts, err := splitPhases(s)
	if err != nil {
		return nil, fmt.Errorf("parsing schedule: %w", err)
	}
	phases := make([]Phase, 0, len(texts))
	for i, text := range texts {
		p, err := parsePhase(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("parsing schedule: phase %d, %q: %w", i+1, text, err)
		}
		phases = append(phases, p)
	}
	if err := checkPhases(phases); err != nil {
		return nil, fmt.Errorf("parsing schedule: %w", err)
	}
	return phases, nil
}

// MustSchedule is [ParseSchedule] for schedules that are written in a test: it
// panics on an error.
func MustSchedule(s string) []Phase {
	phases, err := ParseSchedule(s)
	if err != nil {
		panic("imdstest: " + err.Error())
	}
	return phases
}

// splitPhases cuts at the commas that are not inside quotes.
func splitPhases(s string) ([]string, error) {
	var texts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			texts = append(texts, s[start:i])
			start = i + 1
		case '"':
			q, err := strconv.QuotedPrefix(s[i:])
			if err != nil {
				return nil, fmt.Errorf("a quote that is opened in %q is not closed", s[i:])
			}
			i += len(q) - 1
		}
	}
	return append(texts, s[start:]), nil
}

// parsePhase reads one phase: from its end the limit, from its start the rest.
func parsePhase(s string) (Phase, error) {
	var p Phase
	if m := suffix.FindStringSubmatchIndex(s); m != nil {
		var err error
		if p.Count, p.For, err = parseLimit(submatch(s, m, 1), submatch(s, m, 2)); err != nil {
			return Phase{}, err
		}
		s = s[:m[0]]
	}
	end := strings.IndexAny(s, `=;@"`)
	if end < 0 {
		end = len(s)
	}
	p.Fault, s = s[:end], s[end:]
	if p.Fault == "" {
		return Phase{}, errors.New("no fault: write one, such as refuse:2s")
	}
	if takesValue(p.Fault) == valueRequired && !strings.HasPrefix(s, "=") {
		return Phase{}, fmt.Errorf("%s without a value: write %s=VALUE", p.Fault, p.Fault)
	}
	for s != "" {
		sep := s[0]
		s = s[1:]
		if sep == ';' {
			key, after, ok := strings.Cut(s, "=")
			if s = after; !ok || key != "retry-after" {
				return Phase{}, fmt.Errorf("unknown option %q: after a semicolon only retry-after=V is legal", key)
			}
		}
		value, quoted, rest, err := parseWord(s)
		if err != nil {
			return Phase{}, err
		}
		if err := p.set(sep, value, quoted); err != nil {
			return Phase{}, err
		}
		s = rest
	}
	return p, p.check()
}

// submatch is group n of a match, "" when it did not take part.
func submatch(s string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return s[m[2*n]:m[2*n+1]]
}

// parseLimit reads a count or a duration, whichever is there.
func parseLimit(count, duration string) (int, time.Duration, error) {
	if count != "" {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 || n > maxCount {
			return 0, 0, fmt.Errorf("count x%s: legal are 1 to %d", count, maxCount)
		}
		return n, 0, nil
	}
	d, err := time.ParseDuration(duration)
	if err != nil || d <= 0 || d > maxFor {
		return 0, 0, fmt.Errorf("duration %q: legal are 1ns to %v, with a unit; quote a path or value that ends so", duration, maxFor)
	}
	return 0, d, nil
}

// parseWord reads a quoted or plain word and returns what follows it.
func parseWord(s string) (word string, quoted bool, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		q, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", false, "", fmt.Errorf("the quote in %q is not closed", s)
		}
		word, err := strconv.Unquote(q)
		return word, true, s[len(q):], err
	}
	end := strings.IndexAny(s, `;@"`)
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return "", false, "", errors.New(`an empty word: write "" if that is meant`)
	}
	return s[:end], false, s[end:], nil
}

// set stores what follows a separator; each may come once.
func (p *Phase) set(sep byte, value string, quoted bool) error {
	var field *string
	switch {
	case sep == '=' && takesValue(p.Fault) != valueNone:
		field = &p.Value
	case sep == '=':
		return fmt.Errorf("%s takes no value", p.Fault)
	case sep == ';':
		field = &p.RetryAfter
	case sep == '@' && !quoted && (value == "put" || value == "get"):
		field, value = &p.Method, strings.ToUpper(value)
	case sep == '@' && !quoted && isWhere(value):
		field = &p.Family
	case sep == '@':
		field = &p.Path
	default:
		return fmt.Errorf("unexpected text at %q: a phase is FAULT[;retry-after=V][@WHERE][:DURATION|xCOUNT]", string(sep)+value)
	}
	if *field != "" {
		return fmt.Errorf("%c%s comes on top of %q: each limit may be given once", sep, value, *field)
	}
	*field = value
	return nil
}
