// SPDX-License-Identifier: Apache-2.0

// Package mock tests the real imds-ready against amazon-ec2-metadata-mock, a server
// that was written outside this project. The simulator of this project answers as
// its authors understand the service; the mock answers as AWS implements it for its
// own tools.
//
// The mock is a tool of this module, pinned in go.mod, and runs in IMDSv2-only
// mode on loopback. The test crawls it with a client of its own, derives the
// expected identity.json, meta-data.json, network.json, tags.json and imds.env from
// the documented rules, and compares them with the files. It also compares the
// request log of the mock with the paths that may be requested.
//
// It is a separate module so that the daemon does not depend on the mock's
// dependencies. From a clean clone:
//
//	cd test/mock && go test ./...
//
// As of v1.13.0, the mock differs from the service as follows. It keeps connections
// open after an answer, sends no Server header, and does not send the remaining
// lifetime of the token in the answer to a GET. It ends the listings of the top
// levels with LF and lists a public key as "0/" without its name. It accepts a final
// slash after the path of a leaf, and answers every prefix of a path with a listing,
// which needs a token at the topmost level only. It writes to a map without a lock
// when a directory is listed for the first time, so two simultaneous requests can
// crash it. Therefore the tests first list everything with one request at a time, or
// allow the daemon only one connection.
package mock
