// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// readerFlags are what wait, get and status have in common. None of them reads the
// configuration: anybody may run them, and they need not know why the gate is as it is.
func (p *program) readerFlags(c *cobra.Command) {
	p.directoryFlag(c, "where the files are")
	c.Flags().BoolVar(&p.ignoreBootID, "ignore-boot-id", false,
		"take files of whatever boot, and do not look for the daemon's process: for containers that see the host's files")
}

// boot is the boot whose files are taken.
func (p *program) boot() string {
	if p.ignoreBootID {
		return snapshot.AnyBoot
	}
	return snapshot.BootID()
}

// tell says what happened, and what to do about it, one thing a line.
func (p *program) tell(what string, do ...string) {
	fmt.Fprintln(p.stderr, "imds-ready: "+clean(what))
	for _, line := range do {
		if line != "" {
			fmt.Fprintln(p.stderr, "imds-ready: do: "+clean(line))
		}
	}
}

// clean is text on one line and fit for a terminal: a status quotes what a server
// has said.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// unreadable says why there is no status or no file to read, and returns the exit
// code. What was being done stands before it; "" is nothing.
func (p *program) unreadable(doing string, err error) int {
	code, do := p.remedy(err)
	if code == readiness.ExitTempFail {
		doing += "nothing from this boot: "
	}
	p.tell(doing+err.Error(), do)
	return int(code)
}

// remedy is the exit code for an error of package snapshot, and what to do.
func (p *program) remedy(err error) (readiness.Exit, string) {
	switch {
	case errors.Is(err, snapshot.ErrLaterSchema):
		return readiness.ExitProtocol, "update this imds-ready to the version that wrote the file, or newer"
	case errors.Is(err, snapshot.ErrNotOurs):
		return readiness.ExitProtocol, "see who writes to " + p.readFrom() +
			"; `systemctl restart imds-ready` writes the files anew, --directory names another directory"
	case errors.Is(err, fs.ErrPermission):
		return readiness.ExitNoPerm, "run it as a user who may read " + p.readFrom() +
			"; imds-ready makes the directory with mode 0755 and its public files with 0644"
	case errors.Is(err, snapshot.ErrOtherBoot):
		return readiness.ExitTempFail, "`systemctl start imds-ready` writes new files; " +
			"in a container that sees the host's files, use --ignore-boot-id"
	case errors.Is(err, fs.ErrNotExist):
		return readiness.ExitTempFail, "see `systemctl status imds-ready`; `imds-ready wait` waits for it; " +
			"--directory names another directory"
	default:
		return readiness.ExitNoPerm, "see that " + p.readFrom() + " is a directory that can be read; --directory names another one"
	}
}

// ending is the daemon's exit code, as wait and status give it on.
func ending(st snapshot.Status) int {
	if st.ExitCode == nil || *st.ExitCode < 1 || *st.ExitCode > 255 {
		return int(readiness.ExitFailure)
	}
	return *st.ExitCode
}

// verdict is the state and why, as in "the gate has failed: disabled: ...".
func verdict(st snapshot.Status) string {
	text := map[string]string{
		snapshot.Waiting: "is still waiting", snapshot.Degraded: "is degraded, not ready", snapshot.Ready: "is ready",
		snapshot.Skipped: "was skipped", snapshot.Failed: "has failed",
	}[st.State]
	if st.LastError != nil && st.State != snapshot.Ready {
		text += ": " + st.LastError.Class + ": " + st.LastError.Message
	}
	return text
}

// hint is what to do about the last error, "" when nobody knows.
func hint(st snapshot.Status) string {
	if st.LastError == nil {
		return ""
	}
	return st.LastError.Hint
}
