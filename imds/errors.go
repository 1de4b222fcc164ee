// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// An [*Error] wraps one of these if the status alone does not describe the
// failure.
var (
	// ErrMalformed is an answer that is not HTTP, or one to the PUT without a valid
	// token and lifetime.
	ErrMalformed = errors.New("malformed answer")
	// ErrTooLarge is an answer over a size limit: 4 KiB for a token, 64 KiB for the
	// identity document and user-data, 256 KiB for other bodies, 16 KiB for a header.
	ErrTooLarge = errors.New("answer too large")
	// ErrNotBegun is a request whose context ended before it was sent.
	ErrNotBegun = errors.New("not begun")
)

// Error is a failed request. It has facts only; whether to retry is for the caller
// to decide.
type Error struct {
	// Op is the method of the request: PUT for a token, or GET.
	Op string
	// Endpoint is the base URL, and Path the path below "/latest/".
	Endpoint, Path string
	// Begun is when the first request of the call left the Client's Pace: the PUT, or
	// the GET if there was a token. It is zero if none did.
	Begun time.Time
	// Connected is true if there was a TCP connection.
	Connected bool
	// Status is the HTTP status, or 0 if no complete header arrived.
	Status int
	// RetryAfter is how long the answer asks to wait (RFC 9110 section 10.2.3), or 0
	// if it does not.
	RetryAfter time.Duration
	// Err is the cause: an errno, a timeout, io.ErrUnexpectedEOF, ErrMalformed or
	// ErrTooLarge. It is nil if the status alone describes the failure.
	Err error
	// Other is the failure of the second endpoint, if both sides of a race failed.
	Other *Error
}

// Error names the request and how it failed. The second endpoint is left out
// if this machine has no route or address of its family.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s%s%s: ", e.Op, e.Endpoint, version, e.Path)
	switch {
	case e.Err != nil && e.Status != 0:
		s += fmt.Sprintf("status %d: %v", e.Status, reason(e.Err))
	case e.Err != nil:
		s += reason(e.Err).Error()
	default:
		s += fmt.Sprintf("status %d", e.Status)
	}
	if e.Other != nil && !e.Other.noRoute() {
		s += "; " + e.Other.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the cause is a timeout, a context's deadline
// included.
func (e *Error) Timeout() bool { return timedOut(e.Err) }

func timedOut(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// answered reports whether anything came back, HTTP or not.
func (e *Error) answered() bool {
	return e.Status != 0 || errors.Is(e.Err, ErrMalformed) || errors.Is(e.Err, ErrTooLarge)
}

// noRoute reports whether the machine has no way to the endpoint's family.
func (e *Error) noRoute() bool {
	return errors.Is(e.Err, syscall.ENETUNREACH) || errors.Is(e.Err, syscall.EADDRNOTAVAIL)
}

// reason leaves out what a net.OpError repeats: the addresses.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && !errors.Is(err, ErrNotBegun) {
		return op.Err
	}
	return err
}
