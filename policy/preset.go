// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// Row is one line of a preset's table: the action for some classes if no rule of the
// operator matches.
type Row struct {
	// On names classes as a [Rule] does.
	On []string
	// When narrows the row. The empty Condition always holds.
	When Condition
	// Action is what to do.
	Action Action
}

// Condition narrows a [Row] to a part of a class.
type Condition string

// The conditions that the tables need.
const (
	Always      Condition = ""
	UnlistedGET Condition = "unlisted-get" // a GET, not the token's PUT, of an optional path that no listing names
	NoHeaders   Condition = "no-headers"   // no complete response header arrived
	Toggled     Condition = "toggled"      // NoHeaders, and RetryConnectTimeouts is on
)

// Match returns whether the row applies to the failure under the policy.
func (r Row) Match(p Policy, f Failure) Match {
	if !slices.ContainsFunc(r.On, f.Class.matchesOn) {
		return OtherClass
	}
	holds := true
	switch r.When {
	case UnlistedGET:
		holds = !f.Required && !f.Token && !f.Listed
	case NoHeaders:
		holds = !f.Headers
	case Toggled:
		holds = !f.Headers && p.RetryConnectTimeouts
	}
	if !holds {
		return OtherCondition
	}
	return Matches
}

// The names of the presets.
const (
	PresetBoot = "boot" // the default: retries what is known to recover during a boot
	PresetSDK  = "sdk"  // aws-config's numbers and classifier
)

// PresetNames returns the names that [Preset] knows.
func PresetNames() []string { return []string{PresetBoot, PresetSDK} }

// Preset returns a new Policy by the name of a preset, and false if it is unknown.
func Preset(name string) (Policy, bool) {
	switch name {
	case PresetBoot:
		return Boot(), true
	case PresetSDK:
		return SDK(), true
	default:
		return Policy{}, false
	}
}

// Boot returns the preset "boot". It waits for the network, retries everything that
// is known to recover during a boot for up to 5 minutes, and gives up at once only on
// failures that an operator must fix.
func Boot() Policy {
	return Policy{
		Deadline:             5 * time.Minute,
		Backoff:              Backoff{Initial: 80 * time.Millisecond, Max: 250 * time.Millisecond, Multiplier: 1.015, Jitter: JitterEqual},
		ConnectTimeout:       250 * time.Millisecond,
		ReadTimeout:          2 * time.Second,
		RetryConnectTimeouts: true,
		Eager:                true,
		Hedge:                500 * time.Millisecond,
		FromStart:            true,
		HonorRetryAfter:      true,
		Table: []Row{
			{On: []string{"unreachable"}, Action: Wait},
			{On: []string{"404"}, When: UnlistedGET, Action: Absent},
			{On: []string{
				"local-error", "connect-timeout", "connection-refused", "connection-reset", "read-timeout",
				"401", "404", "408", "429", "5xx", "bad-response", "empty", "mismatch",
			}, Action: Retry},
		},
	}
}

// SDK returns the preset "sdk", which repeats aws-config 1.5.15 (as of commit
// 56ee88c): imds/client.rs, ImdsResponseRetryClassifier::classify_retry retries a
// response only if it is a server error or 401, and a missing response only if
// RetryConnectTimeouts is set; DEFAULT_ATTEMPTS 4, timeouts of 1 s, an operation
// timeout of 30 s; RetryConfig::standard() backs off from 1 s to 20 s with full
// jitter.
func SDK() Policy {
	return Policy{
		MaxAttempts:    4,
		Deadline:       30 * time.Second,
		Backoff:        Backoff{Initial: time.Second, Max: 20 * time.Second, Multiplier: 2, Jitter: JitterFull},
		ConnectTimeout: time.Second,
		ReadTimeout:    time.Second,
		Table: []Row{
			{On: []string{"401", "5xx"}, Action: Retry},
			{On: []string{"404"}, When: UnlistedGET, Action: Absent},
			// Reached only with the toggle on: a class without a response.
			{On: []string{
				"unreachable", "blocked", "local-error", "connect-timeout", "connection-refused", "read-timeout",
			}, Action: Retry},
			// aws-config sees a response once its headers are there.
			{On: []string{"connection-reset"}, When: NoHeaders, Action: Retry},
			{On: []string{"bad-response"}, When: Toggled, Action: Retry},
		},
	}
}
