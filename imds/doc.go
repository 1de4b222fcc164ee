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
// The token is kept until shortly before its end, made once for everybody who
// waits for it, and dropped when the service answers 401. With two endpoints
// the PUT is raced, IPv4 first (RFC 8305 for the idea); the first answer of any
// status settles which one is used, until that one fails without an answer.
//
// A failure is an [*Error]: facts, such as how far the request came, the
// status and the cause, and no opinion. What is a failure to retry is the
// policy's affair.
//
// Nothing here goes through http.Transport: it retries by itself, keeps a dial
// alive past its request, and heeds proxies. A proxy, a redirect or a
// compressed answer has no place between an instance and its metadata. Answers
// are bounded in size, and a token never appears in an error.
//
// The protocol is described in the AWS EC2 User Guide, "Use the Instance
// Metadata Service to access instance metadata".
package imds
