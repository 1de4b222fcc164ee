// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"strconv"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

// step keeps systemd patient for longer than the next step may take.
func (p *progress) step(longest time.Duration) {
	p.tell("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt((longest+stepSlack).Microseconds(), 10))
}

// stepOfCrawl is step for what is not required: there are a hundred of these in
// a moment, so what would add less than a second to the promise is not sent.
func (p *progress) stepOfCrawl(longest time.Duration) {
	until := time.Now().Add(longest + stepSlack)
	p.mu.Lock()
	if until.Sub(p.promised) < time.Second {
		p.mu.Unlock()
		return
	}
	p.promised = until
	p.mu.Unlock()
	p.step(longest)
}

// tell sends a notification that nothing depends on.
func (p *progress) tell(state string) {
	if err := p.notify(state); err != nil {
		p.log.Debug("notifying systemd", "err", err)
	}
}

// waitsFor names what is waited for: IMDS itself, or what it does not have yet.
func waitsFor(f policy.Failure) string {
	if f.Path == IdentityPath {
		return "IMDS"
	}
	return f.Path
}

// waiting is STATUS= during the wait.
func waiting(f policy.Failure, v policy.Verdict, elapsed, deadline time.Duration) string {
	s := fmt.Sprintf("waiting for %s: %s, ", waitsFor(f), phrase(f.Class))
	if v.Attempt > 0 {
		s += fmt.Sprintf("attempt %d, ", v.Attempt)
	}
	s += human(elapsed)
	if deadline > 0 {
		s += " of " + human(deadline)
	}
	return s
}
