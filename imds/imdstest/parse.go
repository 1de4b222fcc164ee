// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSchedule is the length limit of a schedule, in bytes.
const maxSchedule = 64 << 10

// ParseSchedule parses a schedule in the grammar of [ScheduleHelp], at most 64
// KiB. An empty one has no phases: every answer is correct. An error names the
// phase and what is valid there.
func ParseSchedule(s string) ([]Phase, error) {
	phases, err := parsePhases(s)
	if err == nil {
		err = checkPhases(phases)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing schedule: %w", err)
	}
	return phases, nil
}

// MustSchedule is [ParseSchedule] for tests: it panics if the schedule is invalid.
func MustSchedule(s string) []Phase {
	phases, err := ParseSchedule(s)
	if err != nil {
		panic("imdstest: " + err.Error())
	}
	return phases
}

// parsePhases cuts a schedule at the commas that are not inside quotes, and
// parses the parts.
func parsePhases(s string) ([]Phase, error) {
	if len(s) > maxSchedule {
		return nil, fmt.Errorf("%d bytes: must be at most %d", len(s), maxSchedule)
	}
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var phases []Phase
	for start, i := 0, 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',':
			p, err := parsePhase(strings.TrimSpace(s[start:i]))
			if err != nil {
				return nil, fmt.Errorf("phase %d, %q: %w", len(phases)+1, s[start:i], err)
			}
			phases, start = append(phases, p), i+1
		case s[i] == '"':
			q, err := strconv.QuotedPrefix(s[i:])
			if err != nil {
				return nil, fmt.Errorf("the quote at %q is not closed", s[i:])
			}
			i += len(q) - 1
		}
	}
	return phases, nil
}

// parsePhase parses the limit at the end of a phase, then the rest from its start.
func parsePhase(s string) (p Phase, err error) {
	if m := suffix.FindStringSubmatch(s); m != nil {
		if m[1] != "" {
			p.Count, err = strconv.Atoi(m[1])
		} else {
			p.For, err = time.ParseDuration(m[2])
		}
		if err != nil || p.Count == 0 && p.For <= 0 {
			return p, fmt.Errorf("limit %q: must be x1 to x%d, or :1ns to :%v with a unit; quote a path or value that ends like this", m[0], maxCount, maxFor)
		}
		s = strings.TrimSuffix(s, m[0])
	}
	p.Fault, s = cutAny(s, `=;@"`)
	if p.Fault == "" {
		return p, errors.New("must begin with a fault, as in refuse:2s")
	}
	if kind := kindOf(p.Fault); kind.value && !kind.optional && !strings.HasPrefix(s, "=") {
		return p, fmt.Errorf("%s needs a value: write %s=VALUE", p.Fault, p.Fault)
	}
	for s != "" {
		separator := s[0]
		s = s[1:]
		if separator == ';' {
			key, after, ok := strings.Cut(s, "=")
			if s = after; !ok || key != "retry-after" {
				return p, fmt.Errorf("unknown option %q: must be retry-after=V", key)
			}
		}
		var value string
		quoted := strings.HasPrefix(s, `"`)
		if quoted {
			q, err := strconv.QuotedPrefix(s)
			if err != nil {
				return p, fmt.Errorf("the quote in %q is not closed", s)
			}
			value, _ = strconv.Unquote(q) // QuotedPrefix has checked it
			s = s[len(q):]
		} else if value, s = cutAny(s, `;@"`); value == "" {
			return p, errors.New(`empty value or path: write "" if it is meant to be empty`)
		}
		if err := p.set(separator, value, quoted); err != nil {
			return p, err
		}
	}
	return p, p.check()
}

// cutAny cuts s before the first of some characters.
func cutAny(s, chars string) (before, after string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// set stores the text after a separator. Each kind may occur once.
func (p *Phase) set(separator byte, value string, quoted bool) error {
	var field *string
	switch {
	case separator == '=' && kindOf(p.Fault).value:
		field = &p.Value
	case separator == '=':
		return fmt.Errorf("%s takes no value", p.Fault)
	case separator == ';':
		field = &p.RetryAfter
	case separator != '@':
		return fmt.Errorf("unexpected text at %q: must be FAULT[;retry-after=V][@WHERE][:DURATION|xCOUNT]", string(separator)+value)
	case quoted || !reserved.MatchString(value):
		field = &p.Path
	case value == "put" || value == "get":
		field, value = &p.Method, strings.ToUpper(value)
	default:
		field = &p.Family
	}
	if *field != "" {
		return fmt.Errorf("%c%s conflicts with %q: a value, option, method, family or path may be given once", separator, value, *field)
	}
	*field = value
	return nil
}
