// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

func (p *program) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "print the state of the gate, the last error and a hint",
		Long: `status prints the state of this boot's gate: time, attempts, missing paths, the
last error and a hint. The exit code is 0 for ready, degraded and skipped, 75
for waiting, and that of the daemon for failed.`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		Run:               func(c *cobra.Command, _ []string) { p.exit = p.status(c.Context()) },
	}
	c.Flags().BoolVar(&p.json, "json", false, "validate status.json and print it unchanged")
	p.readerFlags(c)
	return c
}

// status prints the state of the gate.
func (p *program) status(ctx context.Context) int {
	st, data, err := snapshot.ReadStatusJSON(p.readDirectory(), p.bootID())
	if err != nil {
		if news := p.showUnitWithoutStatus(ctx).news(false); news != "" {
			err = fmt.Errorf("%w; %s", err, news)
		}
		return p.reportUnreadable("", err)
	}
	if p.json {
		_, _ = p.stdout.Write(data) // checkedWriter keeps the error
	} else {
		_, isTerminal := terminal(p.console)
		// https://no-color.org: a variable that is set but empty does not count.
		color := isTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		text := statusText{st: st, dir: p.readDirectory(), sameHost: !p.ignoreBootID, color: color}
		text.unit = p.showUnit(ctx).news(true)
		if watch, err := snapshot.ReadWatch(p.readDirectory(), p.bootID()); err == nil {
			text.watch = &watch
		}
		text.print(p.stdout)
	}
	switch st.State {
	case snapshot.Failed:
		return failureCode(st)
	case snapshot.Waiting:
		return int(readiness.ExitTempFail)
	default:
		return 0
	}
}

// failureCode returns the daemon's exit code for a failed gate.
func failureCode(st snapshot.Status) int {
	if st.ExitCode == nil || *st.ExitCode < 1 || *st.ExitCode > 255 {
		return int(readiness.ExitFailure)
	}
	return *st.ExitCode
}

// verdict describes the gate: "the gate of /run/imds has failed: disabled: ...".
func (p *program) verdict(st snapshot.Status) string {
	text := "the gate of " + p.readDirectory() + " " + map[string]string{
		snapshot.Waiting: "is still waiting", snapshot.Degraded: "is degraded, not ready", snapshot.Ready: "is ready",
		snapshot.Skipped: "was skipped", snapshot.Failed: "has failed",
	}[st.State]
	switch {
	case collecting(st):
		text += ": IMDS answered, and the metadata is being collected"
	case st.LastError != nil && st.State != snapshot.Ready:
		text += ": " + st.LastError.Class + ": " + st.LastError.Message
	case st.State == snapshot.Skipped:
		text += ": " + disabledByVariable
	}
	return text
}

// disabledByVariable is the reason why a gate was skipped if that was not an error.
const disabledByVariable = "AWS_EC2_METADATA_DISABLED is set"

// collecting reports whether the gate has what it requires, and only the collection
// of the other metadata goes on.
func collecting(st snapshot.Status) bool {
	for _, r := range st.Required {
		if !r.OK {
			return false
		}
	}
	return st.State == snapshot.Waiting && len(st.Required) > 0
}

// over reports whether there is nothing to do about the last error any more. The error of
// a refresh that failed is not over.
func over(st snapshot.Status) bool {
	return st.State == snapshot.Ready && st.StaleSince == nil || collecting(st)
}

// lastHint returns the hint of the last error, unless that is over.
func lastHint(st snapshot.Status) string {
	if st.LastError == nil || over(st) {
		return ""
	}
	return st.LastError.Hint
}

// elapsed returns how long the daemon has been waiting. It uses the clock, because
// the file is written only when something changes.
func elapsed(st snapshot.Status) time.Duration {
	d := time.Duration(st.Elapsed)
	if st.StartedAt != nil {
		d = max(d, time.Since(*st.StartedAt))
	}
	return d
}

// waited describes how long the daemon has waited, and the limit of the wait, which
// does not include the collection: "5 s of 5 min".
func waited(st snapshot.Status) string {
	text := words.Duration(elapsed(st))
	if st.StartedAt != nil && st.DeadlineAt != nil && !collecting(st) {
		text += " of " + words.Duration(st.DeadlineAt.Sub(*st.StartedAt))
	}
	return text
}

// statusText is a status for people: at most 15 lines, to fit a screen of 24.
type statusText struct {
	st       snapshot.Status
	dir      string
	sameHost bool // the daemon's PID is valid here
	color    bool
	unit     string // what systemd says besides, or empty
	watch    *snapshot.WatchStatus
	rows     [][2]string
}

// maxNamed is how many entries of a list are printed.
const maxNamed = 4

// print writes the rows, with the values aligned.
func (t *statusText) print(w io.Writer) {
	t.addState()
	t.addAttempts()
	t.addFiles()
	t.addLastError()
	t.addWatch()
	width := 0
	for _, r := range t.rows {
		width = max(width, len(r[0]))
	}
	for i, r := range t.rows {
		value := words.OneLine(r[1])
		if i == 0 {
			value = t.colored(value)
		}
		fmt.Fprintf(w, "%-*s  %s\n", width+1, r[0]+":", value)
	}
}

// add adds a row, unless the value is empty.
func (t *statusText) add(label, value string) {
	if value != "" {
		t.rows = append(t.rows, [2]string{label, value})
	}
}

func (t *statusText) addState() {
	st := t.st
	since := st.UpdatedAt // when the gate was decided
	if st.State == snapshot.Waiting {
		since = st.StartedAt
	} else if st.ReadyAt != nil {
		since = st.ReadyAt
	}
	state := st.State + sinceText(since)
	if st.State == snapshot.Ready && since != nil && st.CollectedAt != nil && st.CollectedAt.After(*since) {
		// After a refresh, status.json does not tell whether the gate was degraded until then.
		state = st.State + "; the gate was decided at " + timeText(*since)
	}
	if collecting(st) {
		state += ", collecting: IMDS answered"
	}
	t.add("state", state)
	t.add("unit", t.unit)
	if st.State != snapshot.Waiting {
		t.add("took", words.Seconds(time.Duration(st.Elapsed))) // as in the log
	} else {
		t.add("waited", waited(st))
		if t.sameHost && st.ProcessGone() {
			t.add("process", fmt.Sprintf("%d no longer exists; systemd restarts it after a crash: see `journalctl -u imds-ready`", *st.PID))
		} else if st.PID != nil {
			t.add("process", fmt.Sprint(*st.PID))
		}
	}
	if st.State == snapshot.Failed {
		t.add("exit code", fmt.Sprint(failureCode(st)))
	}
}

// sinceText returns " since " and the time, or nothing without one.
func sinceText(at *time.Time) string {
	if at == nil {
		return ""
	}
	return " since " + timeText(*at)
}

// timeText returns "2026-01-02 03:04:05 UTC (3 min 12 s ago)", in local time like the
// journal.
func timeText(at time.Time) string {
	text := at.Local().Format("2006-01-02 15:04:05 MST")
	if ago := time.Since(at); ago >= 0 { // the clock may have been set back
		text += " (" + words.Duration(ago) + " ago)"
	}
	return text
}

func (t *statusText) addAttempts() {
	st := t.st
	t.add("attempts", fmt.Sprintf("%d (%s in all)", st.Attempts, words.Plural(st.Requests, "request")))
	classes := slices.SortedFunc(maps.Keys(st.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(st.Errors[b], st.Errors[a]), cmp.Compare(a, b))
	})
	for i, class := range classes {
		classes[i] = fmt.Sprintf("%s %d", class, st.Errors[class])
	}
	t.add("errors", shortList(classes, 0))
	if st.Endpoint != nil {
		t.add("endpoint", *st.Endpoint)
	} else {
		t.add("endpoint", "none has answered")
	}
}

func (t *statusText) addFiles() {
	st := t.st
	if st.Generation > 0 {
		t.add("files", fmt.Sprintf("%d in %s, generation %d", len(st.Files), t.dir, st.Generation))
	} else {
		t.add("files", "no metadata in "+t.dir)
	}
	if st.CollectedAt != nil {
		t.add("collected", timeText(*st.CollectedAt))
	}
	if st.StaleSince != nil {
		t.add("stale", "since "+timeText(*st.StaleSince)+": each refresh since then has failed")
	}
	required := map[string]string{}
	for path, r := range st.Required {
		if !r.OK {
			required[path] = "not tried"
			if r.Class != nil {
				required[path] = *r.Class
			} else if st.State == snapshot.Waiting {
				required[path] += " yet"
			}
		}
	}
	t.add("required, missing", shortList(withClasses(required), 0))
	t.add("optional, missing", shortList(withClasses(st.Missing), st.MissingMore))
}

func (t *statusText) addLastError() {
	last := t.st.LastError
	if last == nil {
		if t.st.State == snapshot.Skipped { // the only other reason to skip is an error
			t.add("reason", disabledByVariable)
		}
		return
	}
	label := "last error"
	if t.st.State == snapshot.Skipped {
		label = "reason"
	}
	at := ""
	if !last.At.IsZero() {
		at = " at " + last.At.Local().Format("15:04:05")
	}
	t.add(label, last.Class+at+": "+last.Message)
	if over(t.st) {
		return
	}
	t.add("hint", last.Hint)
	for _, path := range slices.Sorted(maps.Keys(t.st.Required)) {
		if r := t.st.Required[path]; !r.OK && r.Hint != "" && r.Hint != last.Hint {
			t.add("hint", path+": "+r.Hint)
		}
	}
}

// addWatch describes `imds-ready watch`, if its status exists.
func (t *statusText) addWatch() {
	w := t.watch
	switch {
	case w == nil:
		return
	case !w.Alive(t.sameHost):
		t.add("watch", fmt.Sprintf("process %d no longer works: see `journalctl -u imds-ready-watch`", w.PID))
		return
	}
	var present, unwritten []string
	failing := map[string]string{}
	for path, p := range w.Paths {
		if p.Present {
			present = append(present, path)
		}
		switch {
		case p.Class == nil:
		case *p.Class == string(policy.CannotWrite):
			unwritten = append(unwritten, path)
		default:
			failing[path] = *p.Class
			if p.LastAnswerAt != nil {
				failing[path] += ", last answer " + timeText(*p.LastAnswerAt)
			}
		}
	}
	slices.Sort(present)
	slices.Sort(unwritten)
	t.add("watch", words.Plural(len(w.Paths), "path")+sinceText(&w.StartedAt))
	t.add("watched, present", cmp.Or(shortList(present, 0), "none"))
	t.add("watched, no answer", shortList(withClasses(failing), 0))
	t.add("watched, unwritten", shortList(unwritten, 0))
}

// withClasses returns "PATH (CLASS)" for each path, sorted.
func withClasses(classes map[string]string) []string {
	list := slices.Sorted(maps.Keys(classes))
	for i, path := range list {
		list[i] = path + " (" + classes[path] + ")"
	}
	return list
}

// shortList returns "a, b". For a long list it returns the number of entries, the
// first ones, and how many more there are; unnamed ones are not in the list.
func shortList(all []string, unnamed int) string {
	n := len(all) + unnamed
	if n <= maxNamed {
		return strings.Join(all, ", ")
	}
	named := all[:min(len(all), maxNamed)]
	return fmt.Sprintf("%d: %s and %d more", n, strings.Join(named, ", "), n-len(named))
}

// colored returns the text in the color of the state.
func (t *statusText) colored(text string) string {
	if !t.color {
		return text
	}
	colors := map[string]string{snapshot.Ready: "32", snapshot.Failed: "31"}   // green, red
	return "\x1b[" + cmp.Or(colors[t.st.State], "33") + "m" + text + "\x1b[0m" // yellow
}
