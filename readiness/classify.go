// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"errors"
	"net/http"
	"syscall"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
)

// What a 200 can be that is no answer to a required path.
var (
	errEmpty   = errors.New("empty answer")
	errContent = errors.New("not what this path must hold")
)

// classify turns the facts of a failed attempt into a failure with a class.
// Nothing else does.
func classify(err error, path string, required bool) policy.Failure {
	f := policy.Failure{Path: path, Required: required}
	e, ok := errors.AsType[*imds.Error](err)
	switch {
	case errors.Is(err, errEmpty):
		f.Class, f.Headers = policy.Empty, true
	case errors.Is(err, errContent):
		f.Class, f.Headers = policy.BadResponse, true
	case !ok:
		f.Class = policy.LocalError
	default:
		e = moreAlive(e)
		f.Token, f.Headers, f.RetryAfter = e.Op == http.MethodPut, e.Status != 0, e.RetryAfter
		f.Class = classOf(e)
		if f.Class == "403" && (f.Token || path == IdentityPath) {
			f.Class = policy.Disabled
		}
	}
	return f
}

// moreAlive picks the side of a lost race that came further, the first
// endpoint's when equal. A second family that is blocked on this host says
// nothing of the first, which may only be late: it does not count as alive.
func moreAlive(e *imds.Error) *imds.Error {
	if e.Other == nil {
		return e
	}
	other := classOf(e.Other)
	if other.Rank() > classOf(e).Rank() && other != policy.Blocked {
		return e.Other
	}
	return e
}

// classOf is the class of one request's failure.
func classOf(e *imds.Error) policy.Class {
	switch {
	case errors.Is(e.Err, imds.ErrTooLarge):
		return policy.TooLarge
	case errors.Is(e.Err, imds.ErrMalformed):
		return policy.BadResponse
	case e.Err == nil:
		return statusClass(e.Status)
	case is(e.Err, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM):
		return policy.LocalError
	case is(e.Err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL,
		syscall.EAFNOSUPPORT, syscall.ENODEV, syscall.ENXIO):
		return policy.Unreachable
	case e.Timeout() && e.Connected:
		return policy.ReadTimeout
	case e.Timeout():
		return policy.ConnectTimeout
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return policy.ConnectionRefused
	case !e.Connected && is(e.Err, syscall.EACCES, syscall.EPERM, syscall.EINVAL):
		return policy.Blocked
	case e.Connected || is(e.Err, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE):
		return policy.ConnectionReset
	default:
		return policy.LocalError // a failure of connect that no table names
	}
}

// statusClass is the class of a status: its digits where it is an error that
// HTTP knows (RFC 9110 section 15), else an answer that nobody asked for.
func statusClass(code int) policy.Class {
	if code >= 400 && code <= 599 {
		return policy.Status(code)
	}
	return policy.BadResponse
}

func is(err error, errnos ...syscall.Errno) bool {
	for _, errno := range errnos {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
