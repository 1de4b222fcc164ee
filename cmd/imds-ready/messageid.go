// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/imds-ready/imds-ready/policy"

// messageID returns MESSAGE_ID= for a log line about a state or a class, or "". With
// it journalctl -x finds the explanation in packaging/systemd/imds-ready.catalog
// (journalctl(1), systemd.journal-fields(7)). The IDs never change.
func messageID(state, class string) string {
	switch state {
	case "ready":
		return "bd5e71510fff4fabaa49dddd1c17618c"
	case "degraded":
		return "dc97b5d208da4c209ab9256097e8a21d"
	case "skipped":
		return "d4d1aae123df41cbb0e768f79b2c663c"
	}
	if class == "" {
		return ""
	}
	return policy.Class(class).Info().MessageID
}
