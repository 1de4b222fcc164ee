// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// waitLimit is a minute more than the daemon's own deadline: who waits hears its
// verdict.
const waitLimit = 6 * time.Minute

func (p *program) waitCommand() *cobra.Command {
	var timeout time.Duration
	var anyState bool
	c := &cobra.Command{
		Use:   "wait",
		Short: "block until this boot's gate is decided",
		Long: "wait blocks until imds-ready.service has decided in this boot whether IMDS is ready: exit 0 for ready,\n" +
			"69 for degraded and skipped, the daemon's exit code for failed, 75 when the time is up.",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout < 0 {
				return fmt.Errorf("--timeout %v: it is 0, which is no limit, or more", timeout)
			}
			p.exit = p.wait(c.Context(), timeout, anyState)
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", waitLimit, "how long at most, such as 90s or 10m; 0: no limit")
	c.Flags().BoolVar(&anyState, "any", false, "take degraded and skipped as well")
	p.readerFlags(c)
	return c
}

// wait waits for the gate and tells how it went, unless it went well.
func (p *program) wait(ctx context.Context, timeout time.Duration, anyState bool) int {
	st, code := p.await(ctx, timeout)
	switch {
	case code != 0:
		return code
	case st.State == snapshot.Failed:
		p.tell("the gate of "+p.readFrom()+" "+verdict(st), hint(st))
		return ending(st)
	case st.State != snapshot.Ready && !anyState:
		p.tell("the gate of "+p.readFrom()+" "+verdict(st), hint(st), "to go on without metadata, use --any")
		return int(readiness.ExitUnavailable)
	}
	return 0
}

// await waits until the gate is decided, timeout at most; 0: for ever. If it is
// not, it says why, and returns the exit code.
func (p *program) await(ctx context.Context, timeout time.Duration) (snapshot.Status, int) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	line := p.newProgressLine()
	told := 0         // the process that was said to be gone
	var nothing error // why there is no status
	st, err := snapshot.Wait(ctx, p.readFrom(), p.boot(), func(s snapshot.Progress) {
		if s.Gone && *s.Status.PID != told {
			told = *s.Status.PID
			line.clear()
			p.tell(fmt.Sprintf("process %d, which waited for IMDS, has ended without a word; "+
				"systemd starts it anew after a crash, so the wait goes on", told),
				"see `journalctl -u imds-ready`; in a container that sees the host's files, use --ignore-boot-id")
		}
		nothing = s.Err
		line.show(p.readFrom(), s)
	})
	line.clear()
	if err == nil {
		return st, 0
	}
	if s, ok := errors.AsType[*readiness.Interrupted](err); ok {
		return st, int(s.Exit())
	}
	if !errors.Is(err, context.DeadlineExceeded) { // what waiting cannot mend
		return st, p.unreadable("", err)
	}
	after := fmt.Sprintf("timed out after %v: ", timeout)
	if nothing != nil {
		return st, p.unreadable(after, nothing)
	}
	p.tell(after+"the gate of "+p.readFrom()+" "+verdict(st), hint(st), "--timeout waits longer")
	return st, int(readiness.ExitTempFail)
}
