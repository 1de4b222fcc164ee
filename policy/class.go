// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Class is a kind of failure. It is the same word in the configuration, the log, the
// journal and status.json. The class of an answer is its status in three digits, such
// as "404", unless one of the names below applies.
type Class string

// The classes of an attempt, besides the statuses. [Classes] has the meaning of each.
const (
	Unreachable       Class = "unreachable"
	Blocked           Class = "blocked"
	LocalError        Class = "local-error"
	ConnectTimeout    Class = "connect-timeout"
	ConnectionRefused Class = "connection-refused"
	ConnectionReset   Class = "connection-reset"
	ReadTimeout       Class = "read-timeout"
	Disabled          Class = "disabled"
	BadResponse       Class = "bad-response"
	Empty             Class = "empty"
	Mismatch          Class = "mismatch"
	TooLarge          Class = "too-large"
)

// The classes that appear only in status.json's last_error and missing. No
// attempt has one of them, so a rule that names one is an error.
const (
	Interrupted   Class = "interrupted"
	NotEC2        Class = "not-ec2"
	InvalidConfig Class = "invalid-config"
	CannotWrite   Class = "cannot-write"
	NotUTF8       Class = "not-utf8"
	PastDeadline  Class = "deadline"
)

// ClassInfo describes a class.
type ClassInfo struct {
	Class Class
	// Attempt is true if an attempt can end with the class, so that a rule can
	// name it.
	Attempt bool
	// Rank is how far an attempt got, from 0 (no route) to 6 (an answer).
	Rank int
	// MessageID is the MESSAGE_ID= of journal entries about the class, by which
	// journalctl -x finds its explanation (systemd.journal-fields(7)). An ID
	// never changes. It is empty for classes that are never logged.
	MessageID string
	// Meaning explains the class, in the words of the manual.
	Meaning string
}

// rankAnswer is the highest rank: there was an answer.
const rankAnswer = 6

// classes is the one table of classes, in the order of imds-ready.toml(5).
// The last row stands for every status without a row of its own.
var classes = [...]ClassInfo{
	{Unreachable, true, 0, "bc04f3ad1e104df09d45450ceb4491f9", "no route, address or interface: ENETUNREACH, EHOSTUNREACH, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT, ENODEV, ENXIO"},
	{Blocked, true, 1, "f273f68528054ed7b5a1c6c765c60f71", "forbidden on this host, by a prohibit or blackhole route: EACCES, EPERM, EINVAL from connect"},
	{LocalError, true, 1, "6cddd9ca71d34985b2a60d42a2c45dab", "a local resource is exhausted: EMFILE, ENFILE, ENOBUFS, ENOMEM"},
	{ConnectTimeout, true, 2, "b1184f76649a451f921d3a69055d6428", "no TCP connection within connect_timeout"},
	{ConnectionRefused, true, 3, "1cc03fc2c9174aa59b799ac1f3f49bc3", "ECONNREFUSED"},
	{ConnectionReset, true, 4, "cebd91ffff2c4c6992cb084837b9669b", "the connection ended before the whole answer"},
	{ReadTimeout, true, 5, "8e3ef434005e40989559848cc88a5891", "connected, but no whole answer within read_timeout"},
	{Disabled, true, rankAnswer, "2c315b0d7a02486f9e52c62e8b166931", "403 to the token request or to the identity document"},
	{BadResponse, true, rankAnswer, "1cd2aa2c9f584c268287f09fd2fe6e1d", "not HTTP, or an answer that cannot be what was requested"},
	{Empty, true, rankAnswer, "31afc06eaf584481b6181fbae8f4e530", "204, or 200 without a body, on a required path"},
	{Mismatch, true, rankAnswer, "98ea6dbe281643b8955e06947321336d", "a required path does not have the value that is required"},
	{TooLarge, true, rankAnswer, "89177b09d7014bb595a5136213fb65cf", "over a size limit"},
	{Interrupted, false, rankAnswer, "d0445b47425640f59f75c49fc561a71b", "SIGTERM or SIGINT"},
	{NotEC2, false, rankAnswer, "ad4c6dbde6bc45dc9b758ab51a3cc160", "the firmware says that this is not EC2"},
	{InvalidConfig, false, rankAnswer, "2a337d8dca3e4205a19846c94bd2aaa0", "the configuration is invalid"},
	{CannotWrite, false, rankAnswer, "9ff20cbcffe14533933b76d8b68a0614", "the files could not be written"},
	{NotUTF8, false, rankAnswer, "", "a value that JSON cannot hold"},
	{PastDeadline, false, rankAnswer, "", "not requested before collect_deadline"},
	{"401", true, rankAnswer, "a6fbb01b44024761beaf035cf789ed92", "IMDS does not accept the token"},
	{"404", true, rankAnswer, "40577ca7ca474c25aa6fa36738938df2", "the path is not there"},
	{anyStatus, true, rankAnswer, "4925f9382c2346e2959f044685a58a7b", "the HTTP status"},
}

// anyStatus is the row of every status that has none of its own.
const anyStatus Class = "status"

// Classes returns a copy of the table of classes, in the order of the manual. The
// last row, "status", stands for every status without a row of its own.
func Classes() []ClassInfo { return slices.Clone(classes[:]) }

// Info returns the row of a class. A status without a row of its own has the row
// "status".
func (c Class) Info() ClassInfo {
	for _, info := range classes {
		if info.Class == c {
			return info
		}
	}
	return classes[len(classes)-1]
}

// Status returns the class of an HTTP status, such as "503". It does not consider what
// was requested: a 403 may also be [Disabled].
func Status(code int) Class { return Class(strconv.Itoa(code)) }

// code is the status of a class of three digits.
func (c Class) code() (int, bool) {
	if len(c) != 3 {
		return 0, false
	}
	n, err := strconv.Atoi(string(c))
	return n, err == nil && n >= 100
}

// Rank returns how far an attempt got, from 0 (no route) to 6 (an answer).
func (c Class) Rank() int { return c.Info().Rank }

// Answered reports whether a failure of this class includes an answer.
func (c Class) Answered() bool { return c.Rank() == rankAnswer }

// AttemptClasses returns the named classes that an attempt can have, in the
// order of imds-ready.toml(5). The statuses 400 to 599 are classes as well.
func AttemptClasses() []Class { return named(true) }

// named returns the classes that have a name instead of a status.
func named(attempt bool) []Class {
	var found []Class
	for _, info := range classes {
		if _, isStatus := info.Class.code(); info.Attempt == attempt && !isStatus && info.Class != anyStatus {
			found = append(found, info.Class)
		}
	}
	return found
}

// CheckOn returns nil if an entry of a rule's "on" can match an attempt: a named class,
// a status from 400 to 599, "4xx" or "5xx". Otherwise the error explains what is wrong
// and what to write instead.
func CheckOn(on string) error {
	if on == "4xx" || on == "5xx" {
		return nil
	}
	return check(on, "a status from 400 to 599, 4xx and 5xx")
}

// CheckClass returns nil if an attempt can end with a class: a named class or a status
// from 400 to 599. Otherwise the error explains what is wrong and what to write instead.
func CheckClass(class string) error { return check(class, "and the statuses from 400 to 599") }

// check is [CheckClass]; others are what the error lists after the named classes.
func check(on, others string) error {
	c := Class(on)
	switch {
	case slices.Contains(named(true), c):
		return nil
	case slices.Contains(named(false), c):
		return fmt.Errorf("%q is never the class of an attempt", on)
	case on == "1xx", on == "2xx", on == "3xx":
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
	var names []string
	for _, c := range named(true) {
		names = append(names, string(c))
	}
	return fmt.Errorf("no class is %q; classes are %s, %s", on, strings.Join(names, ", "), others)
}

// matchesOn reports whether a valid entry of "on" covers the class. Disabled is also a
// 403.
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
