// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// Probed is the result of a [Probe].
type Probed struct {
	// Endpoint is the base URL that answered or failed. It is empty if no request was
	// made.
	Endpoint string
	// Took is how long the attempt took.
	Took time.Duration
	// InstanceID is that of the identity document, or empty if the attempt failed.
	InstanceID string
	// Class, Err and Hint describe the failure, as in the log of a run. They are empty
	// if IMDS answered.
	Class policy.Class
	Err   error
	Hint  string
	// Exit is the exit code of a run that gives up after this failure and does not
	// continue without metadata, or ExitOK.
	Exit Exit
}

// Probe makes one attempt at the identity document, with the checks of the gate and the
// timeouts of the policy. It ignores Disabled and the firmware, and writes nothing. If
// the context ends, Err is its cause and the rest is empty.
func Probe(ctx context.Context, c Config, client *imds.Client) Probed {
	c.Require = []Require{{Path: paths.Identity}}
	p := &progress{hints: c.hints(client)}
	source := gather.Source{Client: client, Policy: c.Policy, Require: c.Require}
	once := c.Policy
	once.Deadline = 0 // the timeouts are enough
	once.Classifier = func(policy.Failure) (policy.Action, bool) { return policy.Fail, true }
	var failed policy.Failure
	start := time.Now()
	body, err := (&retry.Getter{
		Policy: once, Fetch: source.Check, Failed: func(f policy.Failure, _ policy.Verdict, _ error) { failed = f },
	}).Get(ctx, paths.Identity)
	probed := Probed{Endpoint: client.Endpoint(), Took: time.Since(start)}
	gaveUp, ok := errors.AsType[*retry.GiveUpError](err)
	switch {
	case err == nil:
		found, _ := publish.Build(publish.Collection{Leaves: map[string][]byte{paths.Identity: body}}) // the gate has checked it
		probed.InstanceID = found.InstanceID()
		return probed
	case !ok:
		return Probed{Err: err, Exit: ExitFailure}
	}
	p.countAnswer(failed)
	probed.Class, probed.Err, probed.Exit = gaveUp.Class, gaveUp.Last, p.exit(gaveUp.Class)
	if other := failed.Other; other != nil && other.Class == gaveUp.Class && failed.Class != gaveUp.Class {
		failed = *other
	}
	probed.Endpoint = cmp.Or(failed.Endpoint, probed.Endpoint)
	probed.Hint = cmp.Or(p.hints.For(failed, hints.Streak{}, gaveUp.Last), hints.Last(failed.Class, failed.Path))
	return probed
}
