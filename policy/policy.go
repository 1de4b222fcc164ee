// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"time"
)

// Policy decides when a failed attempt is repeated, and when to give up. Its fields
// are the keys of the [retry] table of the configuration. [Boot] and [SDK] return
// presets to start from. Methods do not change a Policy, and it may be copied.
type Policy struct {
	// MaxAttempts is the total number of attempts at one path, including the first.
	// If zero, there is no limit.
	MaxAttempts int
	// Deadline bounds the whole wait, from its start. If zero, there is no limit.
	Deadline time.Duration
	// Backoff is the curve of the pauses between attempts. If it is the zero
	// Backoff, that of [Boot] applies.
	Backoff Backoff
	// ConnectTimeout bounds the TCP connect of one request. If zero, that of
	// [Boot] applies.
	ConnectTimeout time.Duration
	// ReadTimeout bounds one request from the established connection to the last
	// byte of the answer. If zero, that of [Boot] applies.
	ReadTimeout time.Duration
	// RetryConnectTimeouts is the toggle of aws-config 1.5.15
	// (with_retry_connect_timeouts). If false, every class without a response
	// fails at once, whatever the preset's table says.
	RetryConnectTimeouts bool
	// Eager restarts the backoff when an attempt gets further than any before it
	// ([Class.Rank]), and lets news of the network end a pause.
	Eager bool
	// Hedge is how long a token request may go unanswered before it is sent again on
	// another connection, if the policy is Eager, four times at most. If zero, it is
	// sent once. It is a property of the preset, not a key of the configuration.
	Hedge time.Duration
	// FromStart counts the pauses from the start of an attempt, so that a connect
	// timeout is part of its pause and not added to it. If false, a pause begins when
	// the attempt ends. It is a property of the preset, not a key of the
	// configuration.
	FromStart bool
	// HonorRetryAfter lengthens the pause after a 429 or 503 to the server's
	// Retry-After, up to the larger of 30 s and the longest pause. It is a
	// property of the preset, not a key of the configuration.
	HonorRetryAfter bool
	// Classifier, for Go programs, decides before the rules; if its second
	// result is false, the rules decide. It is the counterpart of aws-config's
	// retry_classifier. It must be safe for concurrent use if the Policy is used so.
	Classifier func(Failure) (Action, bool)
	// Rules are the operator's, in order; the first that matches decides.
	Rules []Rule
	// Table is the preset's: it decides if no rule matches. If nil, that of
	// [Boot] applies.
	Table []Row
}

// WithDefaults returns p with the values of [Boot] for a zero Backoff,
// ConnectTimeout, ReadTimeout and Table.
func (p Policy) WithDefaults() Policy {
	if p.Backoff != (Backoff{}) && p.ConnectTimeout > 0 && p.ReadTimeout > 0 && p.Table != nil {
		return p
	}
	boot := Boot()
	if p.Backoff == (Backoff{}) {
		p.Backoff = boot.Backoff
	}
	if p.Table == nil {
		p.Table = boot.Table
	}
	p.ConnectTimeout = cmp.Or(max(0, p.ConnectTimeout), boot.ConnectTimeout)
	p.ReadTimeout = cmp.Or(max(0, p.ReadTimeout), boot.ReadTimeout)
	return p
}

// Rule is a [[retry.rule]]: what to do about some classes of failure, on some
// paths.
type Rule struct {
	// On names classes, a status as its three digits, or the ranges "4xx" and
	// "5xx". See [CheckOn].
	On []string
	// Path is a doublestar glob over the path below "/latest/". If empty, the rule
	// applies to every path.
	Path string
	// Action is what to do.
	Action Action
}
