// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/imds-ready/imds-ready/policy"

// messageID returns MESSAGE_ID= for a log line about the end of a refresh, a state or a
// class, or "". With it journalctl -x finds the explanation in packaging/systemd/imds-ready.catalog
// (journalctl(1), systemd.journal-fields(7)). The IDs never change.
func messageID(refresh, state, class string) string {
	switch refresh {
	case "failed":
		return "c2d7c3549e5e44678a7b483ac5502913"
	case "current":
		return "8bdaf846b9874242bff512e2fc2aefbb"
	case "ready":
		return "40ac4fb343c94a888c2a908eee5b5da5"
	}
	switch state {
	case "ready":
		return "bd5e71510fff4fabaa49dddd1c17618c"
	case "degraded":
		return "dc97b5d208da4c209ab9256097e8a21d"
	case "skipped":
		return "d4d1aae123df41cbb0e768f79b2c663c"
	case "changed":
		return "ddcec61c50b54a1b8890718d2b89439e"
	case "deaf":
		return "65346249a7d14b8ba00eab1652814161"
	case "back":
		return "d06df69e1dcf43a7865e07ef81c2941f"
	}
	if class == "" {
		return ""
	}
	return policy.Class(class).Info().MessageID
}
