// SPDX-License-Identifier: Apache-2.0

// Package imds speaks IMDSv2, the session-oriented protocol of the EC2
// Instance Metadata Service, and nothing else: no retry, no policy, never
// IMDSv1.
//
// [Client.Get] makes at most one token PUT and one GET, each on a connection
// of its own:
//
//	PUT /latest/api/token   X-aws-ec2-metadata-token-ttl-seconds: 21600
//	GET /latest/{path}      X-aws-ec2-metadata-token: {token}
//
// The token is kept until shortly before it expires, requested once for all
// calls that wait for it, and dropped when the service answers 401. With two
// endpoints the PUT is raced, IPv4 first (the idea is from RFC 8305). The endpoint
// that gives a token is used alone until it fails without an answer.
//
// A failure is an [*Error]: facts, such as how far the request came, the status
// and the cause. Whether to retry it is decided by the caller, for example with
// package retry.
//
// Package imds does not use net/http: its transport retries by itself, keeps a dial
// alive past its request, and uses proxies, and TLS comes with it. Proxies,
// redirects and compressed answers are not supported. Answers are bounded in size,
// and a token never appears in an error.
//
// The protocol is described in the AWS EC2 User Guide, "Use the Instance
// Metadata Service to access instance metadata".
package imds
