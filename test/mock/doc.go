// SPDX-License-Identifier: Apache-2.0

// Package mock has one test: the real imds-ready against
// amazon-ec2-metadata-mock, a server that nobody of this project wrote. Our own
// simulator answers as we have understood the service; this one answers as AWS
// has understood it for its own tools.
//
// The mock is a tool of this module, pinned in go.mod, and runs in IMDSv2-only
// mode on loopback. The test crawls it with a client of its own, works out by
// the rules of the file table what identity.json, meta-data.json, network.json,
// tags.json and imds.env have to hold, and compares all of it. The mock's log of
// requests is held against the paths that may be asked for.
//
// It is a module of its own so that the mock's dependencies stay out of the
// daemon's. From a clean clone:
//
//	cd test/mock && go test ./...
//
// Where the mock is not like the service, as of v1.13.0: it keeps a connection
// open after an answer, has no Server header, does not say on a GET how long the
// token still lives, ends the listings of the top levels with LF, lists a public
// key as "0/" without its name, answers a leaf's path with a final slash too,
// and answers any beginning of a path with a listing, which needs no token but
// for the topmost. It writes to a map without a lock when a directory is listed
// for the first time, so that two requests at once can end it; the tests list
// everything one by one before, or let the daemon have one connection only.
package mock
