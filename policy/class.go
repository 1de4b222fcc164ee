// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Class is a kind of failure. The class of an answer is its status in three
// digits, such as "404", except where a name below says otherwise.
type Class string

// The classes an attempt can have, beside the statuses.
const (
	Unreachable       Class = "unreachable"        // ENETUNREACH, EHOSTUNREACH, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT, no such interface
	Blocked           Class = "blocked"            // EACCES, EPERM, EINVAL from connect: a prohibit or blackhole route
	LocalError        Class = "local-error"        // EMFILE, ENFILE, ENOBUFS, ENOMEM
	ConnectTimeout    Class = "connect-timeout"    // no TCP connection within connect_timeout
	ConnectionRefused Class = "connection-refused" // ECONNREFUSED
	ConnectionReset   Class = "connection-reset"   // RST or EOF before the whole answer
	ReadTimeout       Class = "read-timeout"       // connected, but no whole answer within read_timeout
	Disabled          Class = "disabled"           // 403 to the token PUT or to the identity document
	BadResponse       Class = "bad-response"       // not HTTP, or an answer that cannot be what was asked for
	Empty             Class = "empty"              // 204, or 200 without a body, on a required path
	TooLarge          Class = "too-large"          // over a size limit
)

// The classes that appear only in status.json's last_error and missing. They
// are never the class of an attempt, and an error in a rule.
const (
	Interrupted   Class = "interrupted"    // SIGTERM or SIGINT
	NotEC2        Class = "not-ec2"        // DMI says that this is not EC2
	InvalidConfig Class = "invalid-config" // the configuration could not be used
	CannotWrite   Class = "cannot-write"   // the files could not be written
	NotUTF8       Class = "not-utf8"       // a value that JSON cannot hold
	PastDeadline  Class = "deadline"       // not asked for before collect_deadline
)

// Status returns the class of an answer by its HTTP status alone.
func Status(code int) Class { return Class(strconv.Itoa(code)) }

// code is the status of a class of three digits.
func (c Class) code() (int, bool) {
	if len(c) != 3 {
		return 0, false
	}
	n, err := strconv.Atoi(string(c))
	return n, err == nil && n >= 100
}

// Rank says how alive IMDS was, from 0 (unreachable) to 6 (any answer).
func (c Class) Rank() int {
	switch c {
	case Unreachable:
		return 0
	case Blocked, LocalError:
		return 1
	case ConnectTimeout:
		return 2
	case ConnectionRefused:
		return 3
	case ConnectionReset:
		return 4
	case ReadTimeout:
		return 5
	default:
		return rankAnswer
	}
}

const rankAnswer = 6

// Answered reports whether a failure of this class means that something
// answered.
func (c Class) Answered() bool { return c.Rank() == rankAnswer }

// noResponse reports whether the class is one that with_retry_connect_timeouts
// speaks of: unreachable to read-timeout.
func (c Class) noResponse() bool { return !c.Answered() }

// AttemptClasses returns the named classes that an attempt can have, in the
// order of imds-ready.toml(5); the statuses 400 to 599 are classes as well.
func AttemptClasses() []Class {
	return []Class{
		Unreachable, Blocked, LocalError, ConnectTimeout, ConnectionRefused,
		ConnectionReset, ReadTimeout, Disabled, BadResponse, Empty, TooLarge,
	}
}

// CheckOn reports whether one entry of a rule's "on" can ever match an
// attempt: a named class, a status from 400 to 599, "4xx" or "5xx". The error
// says what is wrong and what to write instead.
func CheckOn(on string) error {
	c := Class(on)
	if slices.Contains(AttemptClasses(), c) || on == "4xx" || on == "5xx" {
		return nil
	}
	if slices.Contains([]Class{Interrupted, NotEC2, InvalidConfig, CannotWrite, NotUTF8, PastDeadline}, c) {
		return fmt.Errorf("%q is never the class of an attempt", on)
	}
	if on == "1xx" || on == "2xx" || on == "3xx" {
		return fmt.Errorf(`no class is %q: answers like these are "bad-response"`, on)
	}
	if code, ok := c.code(); ok {
		switch {
		case code >= 400 && code <= 599:
			return nil
		case code == 200 || code == 204:
			return fmt.Errorf(`no class is %q: an answer without a body is "empty"`, on)
		case code/100 == 1 && code != 101:
			return fmt.Errorf(`no class is %q: interim answers are skipped; statuses are 400 to 599`, on)
		default:
			return fmt.Errorf(`no class is %q: such an answer is "bad-response"; statuses are 400 to 599`, on)
		}
	}
	names := make([]string, 0, len(AttemptClasses()))
	for _, c := range AttemptClasses() {
		names = append(names, string(c))
	}
	return fmt.Errorf("no class is %q; classes are %s, a status from 400 to 599, 4xx and 5xx", on, strings.Join(names, ", "))
}

// matchesOn reports whether one legal entry of "on" covers the class. A
// disabled IMDS is a 403 too.
func (c Class) matchesOn(on string) bool {
	if string(c) == on {
		return true
	}
	if c == Disabled {
		return on == "403" || on == "4xx"
	}
	if code, ok := c.code(); ok {
		return on == "4xx" && code/100 == 4 || on == "5xx" && code/100 == 5
	}
	return false
}
