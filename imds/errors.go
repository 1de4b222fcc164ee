// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// What an answer can be, beside a status; an [*Error] wraps them.
var (
	// ErrMalformed is an answer that is not HTTP, or a token that cannot be
	// one.
	ErrMalformed = errors.New("malformed answer")
	// ErrTooLarge is an answer over a size limit.
	ErrTooLarge = errors.New("answer too large")
	// ErrNotBegun is a request that its context ended before it was sent.
	ErrNotBegun = errors.New("not begun")
)

// Error is a failed request: facts and no verdict.
type Error struct {
	// Op is the request: PUT for the token, GET.
	Op string
	// Endpoint and Path are where it went; Path is below the version.
	Endpoint, Path string
	// Connected is true when there was a TCP connection.
	Connected bool
	// Status is the HTTP status, once a whole header had arrived; else 0.
	Status int
	// RetryAfter is what the answer's Retry-After asked for; 0: nothing.
	RetryAfter time.Duration
	// Err is the cause: an errno, a timeout, io.ErrUnexpectedEOF,
	// ErrMalformed, ErrTooLarge; nil when the status says it all.
	Err error
	// Other is the other side of a lost race, the second endpoint's; else nil.
	Other *Error
}

// Error says what was asked of whom and what came of it.
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
	if e.Other != nil {
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

// reason leaves out what a net.OpError repeats: the addresses.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && !errors.Is(err, ErrNotBegun) {
		return op.Err
	}
	return err
}
