// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"

	"github.com/imds-ready/imds-ready/policy"
)

// Waits for a path that appears late, while the network and then IMDS come up. The rule
// retries a path that would be absent. There are at most five attempts.
func Example() {
	p := policy.Boot()
	p.MaxAttempts = 5
	p.Backoff.Jitter = policy.JitterNone // exact, for this example
	p.Rules = []policy.Rule{{On: []string{"404"}, Path: "meta-data/iam/**", Action: policy.Retry}}

	budget := p.Budget()
	for _, class := range []policy.Class{
		policy.Unreachable, policy.ConnectionRefused, policy.ConnectionRefused, "404", "404", "404",
	} {
		v := budget.Next(policy.Failure{Class: class, Path: "meta-data/iam/info"}, 0)
		if v.Stop != nil {
			fmt.Printf("%s: giving up after attempt %d: %v\n", class, v.Attempt, v.Stop)
			return
		}
		fmt.Printf("%s: %s, attempt %d, again in %v\n", class, v.Action, v.Attempt, v.Pause)
	}
	// Output:
	// unreachable: wait, attempt 0, again in 80ms
	// connection-refused: retry, attempt 1, again in 80ms
	// connection-refused: retry, attempt 2, again in 81.199999ms
	// 404: retry, attempt 3, again in 80ms
	// 404: retry, attempt 4, again in 81.199999ms
	// 404: giving up after attempt 5: max_attempts reached
}

// Prints when each attempt of a wait happens and how the wait ends, like the command
// check.
func ExamplePolicy_Timeline() {
	p := policy.SDK()
	for s := range p.Timeline(policy.Failure{Class: policy.Status(503)}, 0) {
		fmt.Println(s.Try, s.Start, s.Stop)
	}
	// Output:
	// 1 0s <nil>
	// 2 1s <nil>
	// 3 3s <nil>
	// 4 7s max_attempts reached
}
