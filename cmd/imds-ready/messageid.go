// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/imds-ready/imds-ready/policy"

// messageID is MESSAGE_ID= of a log line about a state or a class, by which
// journalctl -x finds the explanation in packaging/systemd/imds-ready.catalog
// (journalctl(1), systemd.journal-fields(7)). They never change. "": none.
func messageID(state, class string) string {
	switch state {
	case "ready":
		return "bd5e71510fff4fabaa49dddd1c17618c"
	case "degraded":
		return "dc97b5d208da4c209ab9256097e8a21d"
	case "skipped":
		return "d4d1aae123df41cbb0e768f79b2c663c"
	}
	switch policy.Class(class) {
	case "":
		return ""
	case policy.Unreachable:
		return "bc04f3ad1e104df09d45450ceb4491f9"
	case policy.Blocked:
		return "f273f68528054ed7b5a1c6c765c60f71"
	case policy.LocalError:
		return "6cddd9ca71d34985b2a60d42a2c45dab"
	case policy.ConnectTimeout:
		return "b1184f76649a451f921d3a69055d6428"
	case policy.ConnectionRefused:
		return "1cc03fc2c9174aa59b799ac1f3f49bc3"
	case policy.ConnectionReset:
		return "cebd91ffff2c4c6992cb084837b9669b"
	case policy.ReadTimeout:
		return "8e3ef434005e40989559848cc88a5891"
	case policy.Disabled:
		return "2c315b0d7a02486f9e52c62e8b166931"
	case "401":
		return "a6fbb01b44024761beaf035cf789ed92"
	case "404":
		return "40577ca7ca474c25aa6fa36738938df2"
	case policy.BadResponse:
		return "1cd2aa2c9f584c268287f09fd2fe6e1d"
	case policy.Empty:
		return "31afc06eaf584481b6181fbae8f4e530"
	case policy.TooLarge:
		return "89177b09d7014bb595a5136213fb65cf"
	case policy.NotEC2:
		return "ad4c6dbde6bc45dc9b758ab51a3cc160"
	case policy.InvalidConfig:
		return "2a337d8dca3e4205a19846c94bd2aaa0"
	case policy.CannotWrite:
		return "9ff20cbcffe14533933b76d8b68a0614"
	case policy.Interrupted:
		return "d0445b47425640f59f75c49fc561a71b"
	default: // another status
		return "4925f9382c2346e2959f044685a58a7b"
	}
}
