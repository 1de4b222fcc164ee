// SPDX-License-Identifier: Apache-2.0

// Package policy decides what to do about a failed attempt to reach IMDS, and
// when. It does no I/O and reads no clock: the caller passes what failed and how
// much time has passed, and gets a [Verdict].
//
// A failure has a [Class]. [Policy.Decide] turns it into an [Action]:
//
//	the Classifier of a Go program, if it is set
//	the operator's rules, the first that matches
//	RetryConnectTimeouts = false: a class without a response fails
//	the preset's table, the first row that matches
//	fail
//
// [Budget] then counts one path's attempts and walks the curve of pauses,
//
//	pause(n) = jitter(min(Initial * Multiplier^n, Max))    n = 0, 1, 2, ...
//
// which restarts at n = 0 when an attempt gets further than any before it
// (Eager): while a network comes up, the next attempt follows quickly.
// [Policy.Timeline] replays the same Budget without jitter, so that the command
// check prints exactly what run does.
//
// The presets are data: [Boot] retries everything that is known to recover during a
// boot; [SDK] repeats the decisions of aws-config 1.5.15's
// ImdsResponseRetryClassifier.
package policy
