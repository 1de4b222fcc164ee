// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// progressLine is one line on a terminal, rewritten in place. The zero one, where
// there is no terminal, shows nothing.
type progressLine struct {
	to    *os.File
	start time.Time
	shown bool
}

// newProgressLine is for stderr: stdout is for answers.
func (p *program) newProgressLine() *progressLine {
	f, ok := terminal(p.stderr)
	if !ok || os.Getenv("TERM") == "dumb" { // which cannot rewrite a line
		return &progressLine{}
	}
	return &progressLine{to: f, start: time.Now()}
}

// show rewrites the line, cut to the terminal's width: a line that wraps could not
// be rewritten.
func (l *progressLine) show(dir string, s snapshot.Progress) {
	if l.to == nil {
		return
	}
	text := []rune(clean(l.text(dir, s)))
	if width := columns(l.to); width > 1 && len(text) >= width {
		text = text[:width-1]
	}
	fmt.Fprint(l.to, "\r"+string(text)+"\x1b[K")
	l.shown = true
}

// clear makes place for what is to stay.
func (l *progressLine) clear() {
	if l.shown {
		fmt.Fprint(l.to, "\r\x1b[K")
		l.shown = false
	}
}

// text is the state, the time, the class of the last failure and the attempts.
func (l *progressLine) text(dir string, s snapshot.Progress) string {
	if s.Err != nil {
		return fmt.Sprintf("waiting for imds-ready, %s: no status from this boot in %s", human(time.Since(l.start)), dir)
	}
	text := []string{"waiting for IMDS, " + waited(s.Status)}
	if last := s.Status.LastError; last != nil {
		text = append(text, last.Class)
	}
	text = append(text, plural(s.Status.Attempts, "attempt"))
	if s.Gone {
		text = append(text, "its process is gone")
	}
	return strings.Join(text, ", ")
}

// waited is how long the daemon has waited, of how long at most. It goes by the
// clock, as the file is written only when something changes.
func waited(st snapshot.Status) string {
	elapsed := time.Duration(st.Elapsed)
	if st.StartedAt == nil {
		return human(elapsed)
	}
	elapsed = max(elapsed, time.Since(*st.StartedAt))
	if st.DeadlineAt == nil {
		return human(elapsed)
	}
	return human(elapsed) + " of " + human(st.DeadlineAt.Sub(*st.StartedAt))
}

// human is a duration for people: 350 ms, 2.3 s, 3 min 12 s, 5 h 3 min, 12 d 3 h.
func human(d time.Duration) string {
	two := func(big time.Duration, bigUnit string, small time.Duration, unit string) string {
		text := fmt.Sprintf("%d %s", d/big, bigUnit)
		if rest := d % big / small; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, unit)
		}
		return text
	}
	const day = 24 * time.Hour
	switch d = max(0, d); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Truncate(100*time.Millisecond).Seconds()), ".0") + " s"
	case d < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d < 2*day:
		return two(time.Hour, "h", time.Minute, "min")
	default:
		return two(day, "d", time.Hour, "h")
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
