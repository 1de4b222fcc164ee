// SPDX-License-Identifier: Apache-2.0

package imdstest

import "syscall"

// ScheduleHelp is the grammar of a schedule and the list of faults, for people.
const ScheduleHelp = `SCHEDULE = PHASE,PHASE,...   each begins when the one before it ends; after the last: ok
PHASE    = FAULT[;retry-after=V][@WHERE...][:DURATION|xCOUNT]
           refuse:2s  404x3  429;retry-after=2x1  503@put:1s  404@meta-data/tags/**x2
           without a duration and a count it lasts for ever, so it is the last
WHERE    = put | get | ipv4 | ipv6 | a glob over the path below the version (* ? **);
           what it does not match is answered as if nothing were wrong, and not counted
A value or path with other characters than letters, digits and ._+-/ (in a path also
*?=:), or that ends like a duration or count, is written in double quotes.

Connecting (a count counts connections; only @ipv4 and @ipv6 apply):
  refuse             ECONNREFUSED
  blackhole          the SYN is dropped: the client's connect timeout
  unreachable        ENETUNREACH, in process only
  blocked            EACCES, in process only
  errno=NAME         any of ENETUNREACH EHOSTUNREACH ENETDOWN EADDRNOTAVAIL EAFNOSUPPORT
                     EACCES EPERM EINVAL EMFILE ENFILE ENOBUFS ENOMEM ECONNREFUSED
                     ECONNRESET ETIMEDOUT, in process only
On a socket a count is not possible here: a connection that is refused is not seen.

Answering (a count counts requests):
  ok                 the right answer
  100..599           that status with an HTML body; a 2xx has the right body, 3xx a
                     Location; 1xx, 204 and 304 no body; a 1xx is all that is sent
  hang               the request is read, nothing is answered
  reset close        RST, or an end of file, before the first byte of the answer
  truncate reset-body stall
                     headers and half the body, then end of file, RST, or silence
  slow=D drip[=D]    the answer after D; headers, then a byte of the body every D (100ms)
  garbage html       something that is not HTTP; 200 with an HTML page
  redirect           302 to /latest/redirected
  empty body=TEXT big=N
                     200 with no body, with TEXT, with N bytes (at most 67108864)
  chunked utf8       the right body, chunked, or with two bytes more that are not UTF-8
  bigheaders         headers over 16 KiB
  interim=N          N times 100 or 103 before the right answer (at most 1000)
Answering a token PUT (other requests are answered rightly and not counted):
  badtoken           a token with control characters
  nottl ttl=VALUE    no X-Aws-Ec2-Metadata-Token-Ttl-Seconds header, or just that value
Answering for a directory (other requests are answered rightly and not counted):
  self-listing       each directory contains itself, as loop/
  dotdot             the listing also has "..", "../", ".", "a/b" and a control character
`

// valueUse says whether a fault takes a value after "=".
type valueUse int

const (
	valueNone valueUse = iota
	valueOptional
	valueRequired
)

// takesValue says whether the fault takes a value.
func takesValue(fault string) valueUse {
	switch fault {
	case "errno", "big", "interim", "ttl", "body", "slow":
		return valueRequired
	case "drip":
		return valueOptional
	}
	return valueNone
}

// isConnectFault reports whether the fault happens before a connection exists.
func isConnectFault(fault string) bool {
	switch fault {
	case "refuse", "blackhole", "unreachable", "blocked", "errno":
		return true
	}
	return false
}

// isRequestFault reports whether the fault is a word that decides an answer.
func isRequestFault(fault string) bool {
	switch fault {
	case "", "ok", "hang", "reset", "close", "truncate", "reset-body", "stall", "slow", "drip",
		"garbage", "html", "redirect", "empty", "body", "big", "chunked", "utf8", "bigheaders",
		"interim", "badtoken", "nottl", "ttl", "self-listing", "dotdot":
		return true
	}
	return false
}

// onlyToken reports whether the fault makes sense for a token PUT only.
func onlyToken(fault string) bool {
	return fault == "badtoken" || fault == "nottl" || fault == "ttl"
}

// onlyListing reports whether the fault makes sense for a directory only.
func onlyListing(fault string) bool {
	return fault == "self-listing" || fault == "dotdot"
}

// statusOf returns the status that a fault is, 0 when it is a word.
func statusOf(fault string) int {
	if len(fault) != 3 {
		return 0
	}
	n := 0
	for _, c := range fault {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n < 100 || n > 599 {
		return 0
	}
	return n
}

// errnoOf returns the errno of a connect fault that the kernel would report,
// and the system call that would report it; 0 for the others.
func errnoOf(p Phase) (errno syscall.Errno, call string) {
	switch p.Fault {
	case "refuse":
		return syscall.ECONNREFUSED, "connect"
	case "unreachable":
		return syscall.ENETUNREACH, "connect"
	case "blocked":
		return syscall.EACCES, "connect"
	case "errno":
		return errnoByName(p.Value)
	}
	return 0, ""
}

// errnoByName knows the errors of socket(2) and connect(2) that matter here.
func errnoByName(name string) (errno syscall.Errno, call string) {
	for _, e := range []struct {
		name  string
		errno syscall.Errno
		call  string
	}{
		{"ENETUNREACH", syscall.ENETUNREACH, "connect"},
		{"EHOSTUNREACH", syscall.EHOSTUNREACH, "connect"},
		{"ENETDOWN", syscall.ENETDOWN, "connect"},
		{"EADDRNOTAVAIL", syscall.EADDRNOTAVAIL, "connect"},
		{"EACCES", syscall.EACCES, "connect"},
		{"EPERM", syscall.EPERM, "connect"},
		{"EINVAL", syscall.EINVAL, "connect"},
		{"ECONNREFUSED", syscall.ECONNREFUSED, "connect"},
		{"ECONNRESET", syscall.ECONNRESET, "connect"},
		{"ETIMEDOUT", syscall.ETIMEDOUT, "connect"},
		{"EAFNOSUPPORT", syscall.EAFNOSUPPORT, "socket"},
		{"EMFILE", syscall.EMFILE, "socket"},
		{"ENFILE", syscall.ENFILE, "socket"},
		{"ENOBUFS", syscall.ENOBUFS, "socket"},
		{"ENOMEM", syscall.ENOMEM, "socket"},
	} {
		if e.name == name {
			return e.errno, e.call
		}
	}
	return 0, ""
}
