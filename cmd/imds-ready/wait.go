// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// defaultTimeout is a minute longer than the daemon's default deadline, so that
// wait reports how the gate was decided.
const defaultTimeout = 6 * time.Minute

func (p *program) waitCommand() *cobra.Command {
	var timeout time.Duration
	var anyState bool
	c := &cobra.Command{
		Use:   "wait",
		Short: "block until this boot's gate is decided",
		Long: `wait blocks until imds-ready.service has decided during this boot whether IMDS
is ready. The exit code is 0 for ready, 69 for degraded and skipped, that of the
daemon for failed, and 75 after the timeout.`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout < 0 {
				return fmt.Errorf("invalid --timeout %v: must be 0 (no limit) or positive", timeout)
			}
			p.exit = p.wait(c.Context(), timeout, anyState)
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "wait up to `DURATION` (0: no limit)")
	c.Flags().BoolVar(&anyState, "any", false, "accept degraded and skipped as well")
	p.readerFlags(c)
	return c
}

// wait waits for the gate and reports the result, unless it is good.
func (p *program) wait(ctx context.Context, timeout time.Duration, anyState bool) int {
	st, code := p.await(ctx, timeout, "--timeout")
	switch {
	case code != 0:
		return code
	case st.State == snapshot.Failed:
		p.report(p.verdict(st), lastHint(st))
		return failureCode(st)
	case st.State != snapshot.Ready && !anyState:
		p.report(p.verdict(st), lastHint(st), "to continue without metadata, use --any")
		return int(readiness.ExitUnavailable)
	}
	return 0
}

// await waits until the gate is decided, for at most the timeout that flag has
// set; 0 is no limit. If the gate is not decided, await reports why and returns
// the exit code.
func (p *program) await(ctx context.Context, timeout time.Duration, flag string) (snapshot.Status, int) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	line := p.newProgressLine()
	reported := 0      // the PID whose end was reported
	var noStatus error // why there is no status
	st, err := snapshot.Wait(ctx, p.readDirectory(), p.bootID(), func(s snapshot.Progress) {
		if s.Gone && *s.Status.PID != reported {
			reported = *s.Status.PID
			line.clear()
			p.report(fmt.Sprintf("process %d, which was waiting for IMDS, ended without a final status; "+
				"systemd restarts it after a crash, so the wait continues", reported),
				"see `journalctl -u imds-ready`; in a container that sees the host's files, use --ignore-boot-id")
		}
		noStatus = s.Err
		line.show(p.readDirectory(), s)
	})
	line.clear()
	if err == nil {
		return st, 0
	}
	if s, ok := errors.AsType[*readiness.Interrupted](err); ok {
		return st, int(s.Exit())
	}
	if !errors.Is(err, context.DeadlineExceeded) { // waiting would not help
		return st, p.reportUnreadable("", err)
	}
	prefix := fmt.Sprintf("timed out after %v: ", timeout)
	if noStatus != nil {
		return st, p.reportUnreadable(prefix, noStatus)
	}
	p.report(prefix+p.verdict(st), lastHint(st), "a larger "+flag+" waits longer")
	return st, int(readiness.ExitTempFail)
}

// progressLine is one line on a terminal that is rewritten in place. The zero
// value shows nothing.
type progressLine struct {
	terminal *os.File
	start    time.Time
	shown    bool
}

// newProgressLine returns a line on stderr, because stdout is for results.
func (p *program) newProgressLine() *progressLine {
	f, ok := terminal(p.stderr)
	if !ok || os.Getenv("TERM") == "dumb" { // a dumb terminal cannot rewrite a line
		return &progressLine{}
	}
	return &progressLine{terminal: f, start: time.Now()}
}

// show rewrites the line, cut to the terminal's width, because a line that wraps
// could not be rewritten.
func (l *progressLine) show(dir string, s snapshot.Progress) {
	if l.terminal == nil {
		return
	}
	text := []rune(words.OneLine(l.text(dir, s)))
	if width := columns(l.terminal); width > 1 && len(text) >= width {
		text = text[:width-1]
	}
	fmt.Fprint(l.terminal, "\r"+string(text)+"\x1b[K")
	l.shown = true
}

// clear removes the line before other output.
func (l *progressLine) clear() {
	if l.shown {
		fmt.Fprint(l.terminal, "\r\x1b[K")
		l.shown = false
	}
}

// text returns the time, the class of the last failure and the attempts.
func (l *progressLine) text(dir string, s snapshot.Progress) string {
	if s.Err != nil {
		return fmt.Sprintf("waiting for imds-ready, %s: no status from this boot in %s", words.Duration(time.Since(l.start)), dir)
	}
	text := []string{"waiting for IMDS, " + waited(s.Status)}
	if last := s.Status.LastError; last != nil {
		text = append(text, last.Class)
	}
	text = append(text, words.Plural(s.Status.Attempts, "attempt"))
	if s.Gone {
		text = append(text, "the process no longer exists")
	}
	return strings.Join(text, ", ")
}
