// SPDX-License-Identifier: Apache-2.0

// Package imdstest is an EC2 Instance Metadata Service (IMDSv2 only) that fails
// on command, for tests and for people without EC2. It works on the wire and
// knows nothing of the client, so that tests can rely on the record of what it
// saw, [Server.Trace].
//
// A [Server] serves a [Tree] under a schedule of faults. Clients reach it in
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
// The metadata itself can change as well: see [Server.Late], [Server.Gone] and
// [Server.Changes].
//
// The protocol is that of the AWS EC2 User Guide, "Use the Instance Metadata
// Service": a GET without a valid token is answered with 401, a PUT with
// X-Forwarded-For with 403, and a PUT without a lifetime of 1 to 21600 seconds
// with 400. As on an instance, every answer has Server: EC2ws and Connection:
// close, errors have an HTML body, and listings are separated by LF without a
// final LF.
//
// In a synctest bubble the server waits on channels, timers and pipes only. It
// must be used entirely inside or entirely outside of a bubble, and be closed
// before the bubble ends.
package imdstest
