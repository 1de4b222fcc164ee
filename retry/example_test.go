// SPDX-License-Identifier: Apache-2.0

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// simulated returns a client of a simulator under a schedule of faults. Without
// Endpoints and Dial, a Client reaches the IMDS of the instance.
func simulated(schedule string) (*imds.Client, func()) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...)
	return &imds.Client{Endpoints: []string{"http://127.0.0.1:1338"}, Dial: sim.Dial}, func() { sim.Close() }
}

// IMDS refuses two connections and is busy once; the preset boot retries all
// three.
func ExampleGet() {
	client, stop := simulated("refusex2,503x1,ok")
	defer stop()

	region, err := retry.Get(context.Background(), client, policy.Boot(), "meta-data/placement/region")
	fmt.Println(string(region), err)
	// Output: us-east-1 <nil>
}

// Uses the counterparts of aws-config's retry_classifier and
// with_retry_connect_timeouts: the preset sdk also retries a status that it would not
// retry by itself.
func ExampleGet_classifier() {
	client, stop := simulated("418x1,ok")
	defer stop()

	p := policy.SDK()
	p.RetryConnectTimeouts = true
	p.Backoff.Initial = time.Millisecond // for this example
	p.Classifier = func(f policy.Failure) (policy.Action, bool) { return policy.Retry, f.Class == "418" }

	id, err := retry.Get(context.Background(), client, p, "meta-data/instance-id")
	fmt.Println(string(id), err)
	// Output: i-0123456789abcdef0 <nil>
}

// The error has the reason for giving up and the last failure.
func ExampleGiveUpError() {
	client, stop := simulated("403")
	defer stop()

	_, err := retry.Get(context.Background(), client, policy.Boot(), "meta-data/instance-id")
	if e, ok := errors.AsType[*retry.GiveUpError](err); ok {
		fmt.Println(e.Class, e.Attempts, errors.Is(err, policy.ErrFinal))
	}
	fmt.Println(err)
	// Output:
	// disabled 1 true
	// getting meta-data/instance-id: not retried by the policy after 1 attempt: PUT http://127.0.0.1:1338/latest/api/token: status 403
}

// Gets an optional path. A 404 means that it is absent.
func ExampleGetter() {
	client, stop := simulated("ok")
	defer stop()

	getter := retry.Getter{Client: client, Policy: policy.Boot(), Optional: true}
	_, err := getter.Get(context.Background(), "meta-data/spot/instance-action")
	fmt.Println(errors.Is(err, retry.ErrAbsent))
	// Output: true
}
