// SPDX-License-Identifier: Apache-2.0

// Package retry gets paths of IMDS under a retry policy. It is the loop of the daemon,
// for use in Go programs.
//
//	client := &imds.Client{} // use one for the whole program: it keeps the token
//	region, err := retry.Get(ctx, client, policy.Boot(), "meta-data/placement/region")
//
// The policy decides what is retried and when, as [policy.Policy] describes; its
// Classifier is the counterpart of aws-config's retry_classifier, and its
// RetryConnectTimeouts of with_retry_connect_timeouts. Package imds returns facts;
// only [Classify] turns them into a class.
package retry
