// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
)

// phrase is a class in words, for STATUS= and the log.
func phrase(c policy.Class) string {
	if c.Answered() && len(c) == 3 {
		return "status " + string(c)
	}
	return strings.ReplaceAll(string(c), "-", " ")
}

// maxStatus bounds STATUS= and the messages of status.json, in bytes: systemd
// drops a datagram of more than PIPE_BUF (4096) bytes as a whole, including READY=1
// and ERRNO= (its NOTIFY_BUFFER_MAX).
const maxStatus = 1024

// statusText is s fit for STATUS=.
func statusText(s string) string { return words.Shorten(words.OneLine(s), maxStatus) }

// atMost is " for at most 5 min", or empty without a limit.
func atMost(deadline time.Duration) string {
	if deadline == 0 {
		return ""
	}
	return " for at most " + words.Duration(deadline)
}
