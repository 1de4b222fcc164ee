// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Policy says when a failed attempt is tried again, and when to give up. Its
// values are the keys of the [retry] table; presets are nothing but values of
// it (see [Preset]). A Policy is not changed by its methods and may be copied.
type Policy struct {
	// MaxAttempts is the number of tries of one request in all, the first
	// included, 1 or more; 0: no limit.
	MaxAttempts int
	// Deadline bounds the whole wait, from its start; 0: no limit.
	Deadline time.Duration
	// Backoff is the curve of the pauses between attempts.
	Backoff Backoff
	// ConnectTimeout bounds the TCP connect of one request.
	ConnectTimeout time.Duration
	// ReadTimeout bounds one request from the connection made to the last
	// byte of the answer.
	ReadTimeout time.Duration
	// RetryConnectTimeouts is the toggle of aws-config 1.5.15
	// (with_retry_connect_timeouts): false makes every class without a
	// response fail at once, whatever the preset's table says.
	RetryConnectTimeouts bool
	// Eager restarts the backoff at a sign of life: when a class is reached
	// that is more alive than any before ([Class.Rank]).
	Eager bool
	// HonorRetryAfter lengthens the pause after a 429 or 503 to what the
	// server asked for, within bounds. It is the preset's, not a key.
	HonorRetryAfter bool
	// Classifier, for Go programs, is asked before the rules; false as its
	// second result passes the failure on. It is aws-config's retry_classifier.
	Classifier func(Failure) (Action, bool)
	// Rules are the operator's, in order; the first that matches decides.
	Rules []Rule
	// Table is the preset's: what happens where no rule matches.
	Table []Row
}

// Rule is a [[retry.rule]]: what to do about some classes of failure, on some
// paths.
type Rule struct {
	// On names classes, a status as its three digits, or the ranges "4xx" and
	// "5xx". See [CheckOn].
	On []string
	// Path is a doublestar glob over the path below the version; "": any.
	Path string
	// Action is what to do.
	Action Action
}
