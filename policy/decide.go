// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Action is what to do about a failed attempt.
type Action string

// The actions of a rule.
const (
	Retry  Action = "retry"  // try again after a pause
	Wait   Action = "wait"   // try again without using up an attempt, because the network is not ready
	Fail   Action = "fail"   // give the path up
	Absent Action = "absent" // give the path up and treat it as not existing
)

// Actions returns the four actions.
func Actions() []Action { return []Action{Retry, Wait, Fail, Absent} }

// Failure is a failed attempt as a policy sees it.
type Failure struct {
	// Class is the kind of failure.
	Class Class
	// Path is the requested path, below "/latest/", even if the token's PUT failed.
	Path string
	// Required is true for a path that READY=1 waits for.
	Required bool
	// Listed is true if the parent's listing names the path.
	Listed bool
	// Token is true if the token's PUT failed, not the GET.
	Token bool
	// Headers is true if a complete response header arrived.
	Headers bool
	// RetryAfter is how long the server asked to wait, or 0 if it did not.
	RetryAfter time.Duration
	// Took is how long the attempt took, from its first request.
	Took time.Duration
	// Endpoint is the base URL that failed.
	Endpoint string
	// Other is the failure of the other address family, or nil. If neither family
	// gave an authoritative answer, a wait ends only if the policy ends it for both.
	Other *Failure
}

// matches reports whether the rule applies to the failure.
func (r Rule) matches(f Failure) bool {
	if r.Path != "" && !doublestar.MatchUnvalidated(r.Path, f.Path) {
		return false
	}
	return slices.ContainsFunc(r.On, f.Class.matchesOn)
}

// Decide returns what to do about a failure. The first of these that applies decides:
// the Classifier, the rules, RetryConnectTimeouts, and the preset's table. If none
// applies, the action is Fail.
//
// If f has an Other and its own action would end the wait, the action for Other
// counts, unless it would end the wait too.
func (p Policy) Decide(f Failure) Action {
	p = p.WithDefaults()
	action := p.decide(f)
	if f.Other != nil && action.ends() {
		if other := p.decide(*f.Other); !other.ends() {
			return other
		}
	}
	return action
}

// ends reports whether the action ends the wait.
func (a Action) ends() bool { return a == Fail || a == Absent }

// decide is Decide for one family.
func (p Policy) decide(f Failure) Action {
	if p.Classifier != nil {
		if action, ok := p.Classifier(f); ok {
			return action
		}
	}
	for _, r := range p.Rules {
		if r.matches(f) {
			return r.Action
		}
	}
	if !p.RetryConnectTimeouts && !f.Class.Answered() {
		return Fail
	}
	for _, r := range p.Table {
		if r.matches(p, f) {
			return r.Action
		}
	}
	return Fail
}
