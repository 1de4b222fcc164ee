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

// Match is whether a rule or a row applies to a failure, and if not, why. Its texts
// reach the user.
type Match string

// The kinds of Match.
const (
	Matches        Match = "matches"
	OtherClass     Match = "another class"
	OtherPath      Match = "another path"
	OtherCondition Match = "another condition"
)

// Match returns whether the rule applies to the failure.
func (r Rule) Match(f Failure) Match {
	switch {
	case !slices.ContainsFunc(r.On, f.Class.matchesOn):
		return OtherClass
	case r.Path != "" && !doublestar.MatchUnvalidated(r.Path, f.Path):
		return OtherPath
	}
	return Matches
}

// Source is the part of a Policy that decides about a failure.
type Source string

// The sources, in the order in which they are asked.
const (
	FromClassifier Source = "classifier"
	FromRule       Source = "rule"
	FromToggle     Source = "retry_connect_timeouts"
	FromTable      Source = "table"
	FromNothing    Source = "nothing" // no row of the table matches: the action is Fail
)

// Decision is what to do about a failure, and what decided it.
type Decision struct {
	// Action is what to do.
	Action Action
	// Source is what decided.
	Source Source
	// Number counts the rule in Rules, or the row in Table, from 1. It is 0 for the
	// other sources.
	Number int
}

// Rule is the number of the rule that decided, from 1, or 0 if no rule did.
func (d Decision) Rule() int {
	if d.Source == FromRule {
		return d.Number
	}
	return 0
}

// Decide returns what to do about a failure. The first of these that applies decides:
// the Classifier, the rules, RetryConnectTimeouts, and the preset's table. If none
// applies, the action is Fail.
//
// If f has an Other and its own action would end the wait, the action for Other
// counts, unless it would end the wait too.
func (p Policy) Decide(f Failure) Action { return p.Explain(f).Action }

// Explain is [Policy.Decide] with what decided.
func (p Policy) Explain(f Failure) Decision {
	p = p.WithDefaults()
	d := p.explain(f)
	if f.Other != nil && d.Action.ends() {
		if other := p.explain(*f.Other); !other.Action.ends() {
			return other
		}
	}
	return d
}

// ends reports whether the action ends the wait.
func (a Action) ends() bool { return a == Fail || a == Absent }

// explain is Explain for one family.
func (p Policy) explain(f Failure) Decision {
	if p.Classifier != nil {
		if action, ok := p.Classifier(f); ok {
			return Decision{Action: action, Source: FromClassifier}
		}
	}
	for i, r := range p.Rules {
		if r.Match(f) == Matches {
			return Decision{r.Action, FromRule, i + 1}
		}
	}
	if !p.RetryConnectTimeouts && !f.Class.Answered() {
		return Decision{Action: Fail, Source: FromToggle}
	}
	for i, r := range p.Table {
		if r.Match(p, f) == Matches {
			return Decision{r.Action, FromTable, i + 1}
		}
	}
	return Decision{Action: Fail, Source: FromNothing}
}
