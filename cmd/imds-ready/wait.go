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

// How long wait follows the gate without --timeout: for six minutes, which is a
// minute longer than the daemon's default deadline, and if that is later, until the
// collection that follows the deadline of a gate is over (30 s by default).
const (
	defaultTimeout = 6 * time.Minute
	afterDeadline  = 40 * time.Second
)

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
			limit := waitLimit{flag: "--timeout", timeout: timeout, follow: !c.Flags().Changed("timeout")}
			p.exit = p.wait(c.Context(), limit, anyState)
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 0,
		"wait up to `DURATION` (0: no limit; by default until\n40s after the gate's own deadline, and at least 6m)")
	c.Flags().BoolVar(&anyState, "any", false, "accept degraded and skipped as well")
	p.readerFlags(c)
	return c
}

// wait waits for the gate and reports the result, unless it is good.
func (p *program) wait(ctx context.Context, limit waitLimit, anyState bool) int {
	st, code := p.await(ctx, limit)
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

// waitLimit is how long a command waits for the gate.
type waitLimit struct {
	flag    string        // that sets it
	timeout time.Duration // 0 is no limit
	follow  bool          // the deadline of the gate counts instead of timeout

	start, end time.Time // a zero end is no limit
	run        time.Time // the start of the run of the gate that end is for
}

// begin starts the clock.
func (l *waitLimit) begin() {
	l.start = time.Now()
	if l.follow {
		l.timeout = defaultTimeout
	}
	if l.timeout > 0 {
		l.end = l.start.Add(l.timeout)
	}
}

// observe follows the deadline of the gate that st is about. It uses the monotonic
// clock: of the times in st, only differences count.
func (l *waitLimit) observe(st snapshot.Status) {
	if !l.follow || st.StartedAt == nil || st.StartedAt.Equal(l.run) {
		return
	}
	l.run, l.end = *st.StartedAt, time.Time{}
	if st.DeadlineAt == nil {
		return
	}
	left := st.DeadlineAt.Sub(*st.StartedAt) - time.Duration(st.Elapsed)
	l.end = l.start.Add(defaultTimeout)
	if end := time.Now().Add(left + afterDeadline); end.After(l.end) {
		l.end = end
	}
}

// reached reports whether the time is up.
func (l *waitLimit) reached() bool { return !l.end.IsZero() && !time.Now().Before(l.end) }

// context returns a context that ends at the limit as it is now.
func (l *waitLimit) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.end.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, l.end)
}

// await waits until the gate is decided, or until the limit. If the gate is not
// decided, await reports why and returns the exit code. A unit that systemd skipped
// counts as a skipped gate if no gate of this boot has left a status.
func (p *program) await(ctx context.Context, limit waitLimit) (snapshot.Status, int) {
	limit.begin()
	limited, cancel := limit.context(ctx)
	skipped := p.showUnitWithoutStatus(limited).skipped()
	cancel()
	if skipped {
		last := &snapshot.LastError{Class: "condition", Message: skippedUnit, Hint: skippedUnitHint}
		return snapshot.Status{State: snapshot.Skipped, LastError: last}, 0
	}
	line := p.newProgressLine()
	reported := 0      // the PID whose end was reported
	var noStatus error // why there is no status
	progress := func(s snapshot.Progress) {
		limit.observe(s.Status)
		if s.Gone && *s.Status.PID != reported {
			reported = *s.Status.PID
			line.clear()
			p.report(fmt.Sprintf("process %d, which was waiting for IMDS, ended without a final status; "+
				"systemd restarts it after a crash, so the wait continues", reported),
				"see `journalctl -u imds-ready`; in a container that sees the host's files, use --ignore-boot-id")
		}
		noStatus = s.Err
		line.show(p.readDirectory(), s)
	}
	var st snapshot.Status
	var err error
	for {
		limited, cancel := limit.context(ctx)
		st, err = snapshot.Wait(limited, p.readDirectory(), p.bootID(), progress)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || limit.reached() {
			break
		} // otherwise the limit has been moved
	}
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
	prefix := fmt.Sprintf("timed out after %v: ", limit.end.Sub(limit.start).Round(time.Millisecond))
	hint := "a larger " + limit.flag + " waits longer"
	if noStatus != nil {
		if p.beforeSysinit(ctx) {
			hint = tooEarlyHint
		}
		return st, p.reportUnreadable(prefix, noStatus, hint)
	}
	p.report(prefix+p.verdict(st), lastHint(st), hint)
	return st, int(readiness.ExitTempFail)
}

const tooEarlyHint = "systemd has not reached sysinit.target, which the gate starts after and which probably waits " +
	"for this command: run it later, for example in runcmd of cloud-init instead of bootcmd, or in a unit with After=imds-ready.service"

// quietFor is how long wait says nothing without a terminal while there is no status. A
// boot in which the gate starts soon prints nothing.
const quietFor = 5 * time.Second

// progressLine is one line on a terminal that is rewritten in place. Without a terminal, it
// is printed once, and only if there is no status of the gate.
type progressLine struct {
	terminal *os.File // or nil
	print    func(text string)
	start    time.Time
	shown    bool // since the last clear, or at all without a terminal
}

// newProgressLine returns a line on stderr, because stdout is for results.
func (p *program) newProgressLine() *progressLine {
	f, ok := terminal(p.stderr)
	if !ok || os.Getenv("TERM") == "dumb" { // a dumb terminal cannot rewrite a line
		f = nil
	}
	return &progressLine{terminal: f, print: func(text string) { p.report(text) }, start: time.Now()}
}

// show rewrites the line, cut to the terminal's width, because a line that wraps
// could not be rewritten.
func (l *progressLine) show(dir string, s snapshot.Progress) {
	if l.terminal == nil {
		if s.Err != nil && !l.shown && time.Since(l.start) >= quietFor {
			l.shown = true
			l.print(l.text(dir, s))
		}
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
	if l.terminal != nil && l.shown {
		fmt.Fprint(l.terminal, "\r\x1b[K")
		l.shown = false
	}
}

// text returns the time, the class of the last failure and the attempts.
func (l *progressLine) text(dir string, s snapshot.Progress) string {
	if s.Err != nil {
		return fmt.Sprintf("waiting for imds-ready, %s: no status from this boot in %s", words.Duration(time.Since(l.start)), dir)
	}
	if collecting(s.Status) {
		return "collecting the metadata, " + words.Duration(elapsed(s.Status))
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
