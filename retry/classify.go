// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"errors"
	"slices"
	"syscall"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
)

// The Fetch of a [Getter] wraps one of these if the content of a successful answer is
// invalid.
var (
	// ErrEmpty is an answer without a body. Its class is policy.Empty.
	ErrEmpty = errors.New("empty answer")
	// ErrContent is an answer whose content is invalid for the path. Its class is
	// policy.BadResponse.
	ErrContent = errors.New("not what this path must hold")
)

// MismatchError is an answer whose value is not the required one. The Fetch of a
// [Getter] may return it; its class is policy.Mismatch.
type MismatchError struct {
	// Path is the requested path, below "/latest/".
	Path string
	// Got describes the value of the answer, and Want the required one, for people.
	Got, Want string
}

// Error names the path, the value, and the required value.
func (e *MismatchError) Error() string { return "GET " + e.Path + ": " + e.Got + ", not " + e.Want }

// Classify turns the error of an attempt at a path into a failure with a class. An
// error that is none of the types of packages imds and retry is a policy.LocalError.
//
// If both address families failed, an answer of the first (IPv4) is
// authoritative. Without one, its failure is reported with that of the second in
// Other, so that the wait ends only if the policy ends it for both. The second is
// reported if the first is unreachable, and alone if the first is blocked on this
// host while the second is reached.
func Classify(err error, path string, optional bool) policy.Failure {
	f := policy.Failure{Class: policy.LocalError, Path: path, Required: !optional}
	switch e, ok := errors.AsType[*imds.Error](err); {
	case ok:
		return judge(e, path, optional)
	case errors.Is(err, ErrEmpty):
		f.Class, f.Headers = policy.Empty, true
	case errors.Is(err, ErrContent):
		f.Class, f.Headers = policy.BadResponse, true
	default:
		if _, ok := errors.AsType[*MismatchError](err); ok {
			f.Class, f.Headers = policy.Mismatch, true
		}
	}
	return f
}

// judge combines the failures of both address families.
func judge(e *imds.Error, path string, optional bool) policy.Failure {
	first := failure(e, path, optional)
	if e.Other == nil || first.Class.Answered() {
		return first
	}
	second := failure(e.Other, path, optional)
	reached := second.Class.Rank() >= policy.ConnectTimeout.Rank()
	switch {
	case first.Class == policy.Blocked && reached:
		return second
	case first.Class == policy.Blocked:
		return first
	case first.Class == policy.Unreachable && reached:
		second.Other = &first
		return second
	default:
		first.Other = &second
		return first
	}
}

// failure returns the failure of one request.
func failure(e *imds.Error, path string, optional bool) policy.Failure {
	f := policy.Failure{
		Class: classOf(e), Path: path, Required: !optional, Token: e.Op == "PUT",
		Headers: e.Status != 0, RetryAfter: e.RetryAfter, Endpoint: e.Endpoint,
	}
	if f.Class == "403" && (f.Token || path == paths.Identity) {
		f.Class = policy.Disabled
	}
	return f
}

// classOf returns the class of a failed request, before the path is considered.
func classOf(e *imds.Error) policy.Class {
	is := func(errnos ...syscall.Errno) bool {
		return slices.ContainsFunc(errnos, func(errno syscall.Errno) bool { return errors.Is(e.Err, errno) })
	}
	switch {
	case errors.Is(e.Err, imds.ErrTooLarge):
		return policy.TooLarge
	case errors.Is(e.Err, imds.ErrMalformed):
		return policy.BadResponse
	case e.Err == nil && e.Status >= 400 && e.Status <= 599: // RFC 9110 section 15
		return policy.Status(e.Status)
	case e.Err == nil:
		return policy.BadResponse
	case is(syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM):
		return policy.LocalError
	case is(syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL,
		syscall.EAFNOSUPPORT, syscall.ENODEV, syscall.ENXIO):
		return policy.Unreachable
	case e.Timeout() && e.Connected:
		return policy.ReadTimeout
	case e.Timeout():
		return policy.ConnectTimeout
	case is(syscall.ECONNREFUSED):
		return policy.ConnectionRefused
	case !e.Connected && is(syscall.EACCES, syscall.EPERM, syscall.EINVAL):
		return policy.Blocked
	case e.Connected || is(syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE):
		return policy.ConnectionReset
	default:
		return policy.LocalError // an unknown failure of connect
	}
}
