// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ScheduleHelp is a help text: the grammar of a schedule and the list of faults.
const ScheduleHelp = `SCHEDULE = PHASE,PHASE,...
           Each phase begins when the one before it ends. After the last one every
           answer is correct.
PHASE    = FAULT[;retry-after=V][@WHERE...][:DURATION|xCOUNT]
           refuse:2s  404x3  429;retry-after=2x1  503@put:1s  404@meta-data/tags/**x2
           A phase without a duration or count never ends, so it must be the last.
WHERE    = put | get | ipv4 | ipv6 | a glob over the path below the version (* ? **)
           Everything else is answered correctly and not counted.
A value or path must be in double quotes if it ends like a duration or count, or has
characters other than letters, digits and ._+-/ (in a path also *?=:).

Connecting (a count counts connections; only @ipv4 and @ipv6 apply):
  refuse             ECONNREFUSED
  blackhole          the SYN is dropped, so the client's connect timeout ends the attempt
  unreachable        ENETUNREACH, in process only
  blocked            EACCES, in process only
  errno=NAME         one of ENETUNREACH EHOSTUNREACH ENETDOWN EADDRNOTAVAIL EAFNOSUPPORT
                     EACCES EPERM EINVAL EMFILE ENFILE ENOBUFS ENOMEM ECONNREFUSED
                     ECONNRESET ETIMEDOUT, in process only
On a socket these faults take no count, because it does not see what it refuses.

Answering (a count counts requests):
  ok                 the correct answer
  100..599           that status with an HTML body; a 2xx has the correct body, a 3xx a
                     Location; 1xx, 204 and 304 have no body; after a 1xx nothing follows
  hang               the request is read and never answered
  reset close        RST, or an end of file, before the first byte of the answer
  truncate reset-body stall
                     headers and half the body, then an end of file, RST, or silence
  slow=D             the answer after D
  drip[=D]           headers, then a byte of the body every D (100ms)
  garbage            something that is not HTTP
  html               200 with an HTML page
  redirect           302 to /latest/redirected
  empty              200 without a body
  body=TEXT          200 with TEXT
  big=N              200 with N bytes (at most 67108864)
  chunked            the correct body, chunked
  utf8               the correct body and two more bytes that are not UTF-8
  bigheaders         headers over 16 KiB
  interim=N          100 or 103, N times, before the correct answer (at most 1000)
Answering a token PUT (other requests are answered correctly and not counted):
  badtoken           a token with control characters
  nottl              no X-Aws-Ec2-Metadata-Token-Ttl-Seconds header
  ttl=VALUE          that header with VALUE
Answering for a directory (other requests are answered correctly and not counted):
  self-listing       each directory contains itself, as loop/
  dotdot             the listing also has "..", "../", ".", "a/b" and a control character
`

// faultKind says when a fault applies and whether it takes a value after "=".
type faultKind struct {
	known    bool
	connect  bool // before a connection exists; the others decide an answer
	token    bool // to a token PUT only
	listing  bool // to a directory only
	value    bool // it takes a value,
	optional bool // but can do without
}

// kindOf returns what is known of a fault.
func kindOf(fault string) faultKind {
	switch fault {
	case "refuse", "blackhole", "unreachable", "blocked":
		return faultKind{known: true, connect: true}
	case "errno":
		return faultKind{known: true, connect: true, value: true}
	case "big", "interim", "body", "slow":
		return faultKind{known: true, value: true}
	case "drip":
		return faultKind{known: true, value: true, optional: true}
	case "ttl":
		return faultKind{known: true, token: true, value: true}
	case "badtoken", "nottl":
		return faultKind{known: true, token: true}
	case "self-listing", "dotdot":
		return faultKind{known: true, listing: true}
	case "", "ok", "hang", "reset", "close", "truncate", "reset-body", "stall", "garbage", "html", "redirect", "empty", "chunked", "utf8", "bigheaders":
		return faultKind{known: true}
	}
	return faultKind{known: statusOf(fault) != 0}
}

// statusOf returns the status of a fault that is one, and 0 for the others.
func statusOf(fault string) int {
	n, err := strconv.Atoi(fault)
	if err != nil || len(fault) != 3 || n < 100 || n > 599 {
		return 0
	}
	return n
}

// errnoOf returns the errno of a connect fault that the kernel would report, and
// the system call that would report it; 0 for the other faults.
func errnoOf(p Phase) (errno syscall.Errno, call string) {
	name := map[string]string{"refuse": "ECONNREFUSED", "unreachable": "ENETUNREACH", "blocked": "EACCES", "errno": p.Value}[p.Fault]
	for call, errnos := range map[string][]syscall.Errno{
		"connect": {
			unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.EADDRNOTAVAIL, unix.EACCES,
			unix.EPERM, unix.EINVAL, unix.ECONNREFUSED, unix.ECONNRESET, unix.ETIMEDOUT,
		},
		"socket": {unix.EAFNOSUPPORT, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM},
	} {
		for _, errno := range errnos {
			if unix.ErrnoName(errno) == name {
				return errno, call
			}
		}
	}
	return 0, ""
}
