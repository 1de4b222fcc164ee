// SPDX-License-Identifier: Apache-2.0

// Package readiness is the boot barrier: it waits for IMDS under a policy,
// collects the metadata, writes the files and says READY=1.
//
// [Daemon.Run] goes through these steps, in this order:
//
//	claim    lock the directory; clear what another boot has left
//	detect   is this EC2 at all? By DMI, without root and without network
//	gate     the identity document alone, then the other required paths
//	decide   ready, degraded, skipped or failed
//	collect  everything else, paced, within its own deadline
//	publish  the files, status.json last
//	announce READY=1 and the final STATUS= in one datagram
//
// Package retry makes the attempts and package policy decides about them. Nothing
// optional is requested before the gate is decided, and nothing optional can
// change the decision.
//
// During the wait status.json, STATUS= and the log say what is waited for, and
// EXTEND_TIMEOUT_USEC keeps systemd patient for longer than the next step, so that
// the policy's deadline is the only one (sd_notify(3), systemd.service(5)). If
// [Config].Textfile is set, the same is written as metrics for Prometheus, at the
// start and at the end.
package readiness
