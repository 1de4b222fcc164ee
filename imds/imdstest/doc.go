// SPDX-License-Identifier: Apache-2.0

// Package imdstest is an EC2 Instance Metadata Service (IMDSv2 only) that fails
// on command, for tests and for people without EC2. It works at the wire, and
// knows nothing of the client: what it saw ([Server.Trace]) is the oracle.
//
// A [Server] serves a [Tree] under a schedule of faults. It is reached in
// process through [Server.Dial], over net.Pipe, where virtual time
// (testing/synctest) is exact, or on real sockets through [Server.Listen]:
//
//	s := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("refuse:2s,503x3,ok")...)
//	defer s.Close()
//	client.Dial = s.Dial
//
// [ScheduleHelp] is the grammar of a schedule and the list of faults. The clock
// of every schedule starts at the first Dial or the first Listen, whichever
// comes first, and each call of [Server.Also] adds a schedule that runs beside
// the main one. Counts are of requests, and for connect faults of connections.
//
// The protocol is that of the AWS EC2 User Guide, "Use the Instance Metadata
// Service": a GET without a valid token is 401, a PUT with X-Forwarded-For 403,
// one without a lifetime of 1 to 21600 seconds 400. As on an instance, every
// answer says Server: EC2ws and Connection: close, errors have an HTML body, and
// listings are separated by LF with no final LF.
//
// In a synctest bubble everything waits on channels, timers and pipes only.
// The server must be used on one side of a bubble's border, and closed before
// the bubble ends.
package imdstest
