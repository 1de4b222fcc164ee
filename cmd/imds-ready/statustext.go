// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// statusText is a status for people: at most 15 lines, as a screen has 24.
type statusText struct {
	st       snapshot.Status
	dir      string
	sameHost bool // the daemon's PID means something here
	colour   bool
	rows     [][2]string
}

// maxNamed is how many of many are named in a line.
const maxNamed = 4

// print prints the lines, the values one below the other.
func (t *statusText) print(w io.Writer) {
	t.rows = nil
	t.gate()
	t.effort()
	t.result()
	t.trouble()
	width := 0
	for _, r := range t.rows {
		width = max(width, len(r[0]))
	}
	for i, r := range t.rows {
		value := clean(r[1])
		if i == 0 {
			value = t.painted(value)
		}
		fmt.Fprintf(w, "%-*s  %s\n", width+1, r[0]+":", value)
	}
}

// row adds a line, unless there is nothing to say.
func (t *statusText) row(label, value string) {
	if value != "" {
		t.rows = append(t.rows, [2]string{label, value})
	}
}

// gate is the state, since when, and how long it took.
func (t *statusText) gate() {
	st := t.st
	since := st.UpdatedAt // of a final status: when it was decided
	if st.State == snapshot.Waiting {
		since = st.StartedAt
	} else if st.ReadyAt != nil {
		since = st.ReadyAt
	}
	t.row("state", st.State+moment(since))
	switch {
	case st.State != snapshot.Waiting:
		t.row("took", human(time.Duration(st.Elapsed)))
	default:
		t.row("waits", waited(st))
		if t.sameHost && st.ProcessGone() {
			t.row("process", fmt.Sprintf("%d is gone without a word; systemd starts it anew after a crash: see `journalctl -u imds-ready`", *st.PID))
		} else if st.PID != nil {
			t.row("process", fmt.Sprint(*st.PID))
		}
	}
	if st.State == snapshot.Failed {
		t.row("exit code", fmt.Sprint(ending(st)))
	}
}

// moment is " since 2026-01-02 03:04:05 UTC (3 min 12 s ago)", in local time as the
// journal has it.
func moment(at *time.Time) string {
	if at == nil {
		return ""
	}
	text := " since " + at.Local().Format("2006-01-02 15:04:05 MST")
	if ago := time.Since(*at); ago >= 0 { // the clock may have been set back since
		text += " (" + human(ago) + " ago)"
	}
	return text
}

// effort is what was tried.
func (t *statusText) effort() {
	st := t.st
	t.row("attempts", fmt.Sprintf("%d (%s in all)", st.Attempts, plural(st.Requests, "request")))
	classes := slices.SortedFunc(maps.Keys(st.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(st.Errors[b], st.Errors[a]), cmp.Compare(a, b))
	})
	for i, class := range classes {
		classes[i] = fmt.Sprintf("%s %d", class, st.Errors[class])
	}
	t.row("errors", few(classes, 0))
	if st.Endpoint != nil {
		t.row("endpoint", *st.Endpoint)
	} else {
		t.row("endpoint", "none has answered")
	}
}

// result is what came of it.
func (t *statusText) result() {
	st := t.st
	if st.Generation > 0 {
		t.row("files", fmt.Sprintf("%d in %s, generation %d", len(st.Files), t.dir, st.Generation))
	} else {
		t.row("files", "no metadata in "+t.dir)
	}
	t.row("missing", few(slices.Collect(classed(st.Missing)), st.MissingMore))
	required := map[string]string{}
	for path, r := range st.Required {
		if !r.OK {
			required[path] = "not tried yet"
			if r.Class != nil {
				required[path] = *r.Class
			}
		}
	}
	t.row("not had", few(slices.Collect(classed(required)), 0))
}

// trouble is the last error and what to do about it; when all is well, that is
// history and no advice.
func (t *statusText) trouble() {
	last := t.st.LastError
	if last == nil {
		return
	}
	at := ""
	if !last.At.IsZero() {
		at = " at " + last.At.Local().Format("15:04:05")
	}
	t.row("last error", last.Class+at+": "+last.Message)
	if t.st.State == snapshot.Ready {
		t.row("hint", last.Hint)
	} else {
		t.row("do", last.Hint)
	}
}

// classed yields "PATH (CLASS)", sorted.
func classed(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, path := range slices.Sorted(maps.Keys(m)) {
			if !yield(path + " (" + m[path] + ")") {
				return
			}
		}
	}
}

// few is "a, b", or if there are many, their number, the first ones and how many more.
// unnamed counts those that are not in the list.
func few(all []string, unnamed int) string {
	n := len(all) + unnamed
	if n <= maxNamed {
		return strings.Join(all, ", ")
	}
	named := all[:min(len(all), maxNamed)]
	return fmt.Sprintf("%d: %s and %d more", n, strings.Join(named, ", "), n-len(named))
}

// painted is the first line in the colour of the state.
func (t *statusText) painted(text string) string {
	if !t.colour {
		return text
	}
	colours := map[string]string{snapshot.Ready: "32", snapshot.Failed: "31"}   // green, red
	return "\x1b[" + cmp.Or(colours[t.st.State], "33") + "m" + text + "\x1b[0m" // else yellow
}
