// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// checkLogFlags refuses what logger would, also for commands that log nothing.
func (p *program) checkLogFlags() error {
	if err := new(slog.Level).UnmarshalText([]byte(p.logLevel)); err != nil {
		return fmt.Errorf("--log-level %q: it is debug, info, warn or error", p.logLevel)
	}
	if !slices.Contains([]string{"auto", "journal", "text", "json"}, p.logFormat) {
		return fmt.Errorf("--log-format %q: it is auto, journal, text or json", p.logFormat)
	}
	return nil
}

// logger is what --log-level and --log-format ask for.
func (p *program) logger() (*slog.Logger, error) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(p.logLevel)) // checked before
	if p.logFormat == "auto" {
		p.logFormat = "text"
		if native, err := journal.StderrIsJournalStream(); err == nil && native {
			p.logFormat = "journal"
		}
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	switch p.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(p.stderr, options)), nil
	case "journal":
		if !journal.Enabled() {
			return nil, fmt.Errorf("--log-format journal: no journal listens on this machine; use text or json")
		}
		return slog.New(&journalHandler{level: level}), nil
	default:
		return slog.New(slog.NewTextHandler(p.stderr, options)), nil
	}
}

// readable rounds durations for people, in JSON too, and leaves the time to the
// journal where that is what reads the text.
func readable(groups []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().Round(time.Millisecond).String())
	}
	if a.Key == slog.TimeKey && len(groups) == 0 && os.Getenv("JOURNAL_STREAM") != "" {
		return slog.Attr{}
	}
	return a
}

// plainLog reports whether stderr is read by people, as it is.
func (p *program) plainLog() bool { return p.logFormat == "text" }
