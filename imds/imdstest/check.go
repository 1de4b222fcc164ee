// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// The ranges of a phase's limits and values.
const (
	maxCount   = 1_000_000
	maxFor     = 168 * time.Hour
	maxBig     = 64 << 20
	maxInterim = 1000
)

// checkPhases finds what is wrong with a schedule: an illegal phase, or one
// that is never reached.
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

// check finds what is wrong with one phase.
func (p Phase) check() error {
	status := statusOf(p.Fault)
	switch {
	case p.For < 0 || p.For > maxFor || p.Count < 0 || p.Count > maxCount:
		return fmt.Errorf("limits are 0 to %v and 0 to %d", maxFor, maxCount)
	case p.For > 0 && p.Count > 0:
		return errors.New("a duration and a count: only one is legal")
	case isConnectFault(p.Fault) && (p.Method != "" || p.Path != ""):
		return fmt.Errorf("%s happens before there is a request: only @ipv4 and @ipv6 can limit it", p.Fault)
	case !isConnectFault(p.Fault) && !isRequestFault(p.Fault) && status == 0:
		return fmt.Errorf("unknown fault %q: refuse, blackhole, hang, reset, a status of 100 to 599, ok and others are known", p.Fault)
	case p.RetryAfter != "" && status == 0:
		return fmt.Errorf("%s has no Retry-After: only a status has one", p.name())
	case !isHeaderValue(p.RetryAfter):
		return fmt.Errorf("retry-after %q is no header value", p.RetryAfter)
	case p.Method != "" && p.Method != "PUT" && p.Method != "GET":
		return fmt.Errorf("method %q: PUT or GET are legal", p.Method)
	case p.Family != "" && p.Family != "ipv4" && p.Family != "ipv6":
		return fmt.Errorf("family %q: ipv4 or ipv6 are legal", p.Family)
	}
	for segment := range strings.SplitSeq(p.Path, "/") {
		if _, err := path.Match(segment, ""); err != nil {
			return fmt.Errorf("path %q: a bracket that is not closed", p.Path)
		}
	}
	return p.checkValue()
}

// checkValue finds what is wrong with the fault's own value.
func (p Phase) checkValue() error {
	switch p.Fault {
	case "errno":
		if errno, _ := errnoByName(p.Value); errno == 0 {
			return fmt.Errorf("unknown errno %q: ENETDOWN is one", p.Value)
		}
	case "big":
		return checkNumber(p.Value, maxBig)
	case "interim":
		return checkNumber(p.Value, maxInterim)
	case "ttl":
		if !isHeaderValue(p.Value) {
			return fmt.Errorf("ttl %q is no header value", p.Value)
		}
	case "slow", "drip":
		if p.Value == "" && p.Fault == "drip" {
			return nil
		}
		if d, err := time.ParseDuration(p.Value); err != nil || d <= 0 || d > maxFor {
			return fmt.Errorf("%s=%s: legal are 1ns to %v, with a unit", p.Fault, p.Value, maxFor)
		}
	case "body":
	default:
		if p.Value != "" {
			return fmt.Errorf("%s takes no value", p.name())
		}
	}
	return nil
}

// checkNumber wants an integer from 1 to most.
func checkNumber(s string, most int) error {
	if n, err := strconv.Atoi(s); err != nil || n < 1 || n > most {
		return fmt.Errorf("value %q: legal are 1 to %d", s, most)
	}
	return nil
}

// isHeaderValue reports whether s can stand in a header without ending it.
func isHeaderValue(s string) bool {
	return !strings.ContainsAny(s, "\r\n\x00")
}
