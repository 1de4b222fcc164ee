// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// logger is what --log-level and --log-format ask for.
func (p *program) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(p.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q: it is debug, info, warn or error", p.logLevel)
	}
	if p.logFormat == "auto" {
		p.logFormat = "text"
		if native, err := journal.StderrIsJournalStream(); err == nil && native {
			p.logFormat = "journal"
		}
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	switch p.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(p.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.stderr, options)), nil
	case "journal":
		if !journal.Enabled() {
			return nil, fmt.Errorf("--log-format journal: no journal listens on this machine; use text or json")
		}
		return slog.New(&journalHandler{level: level}), nil
	default:
		return nil, fmt.Errorf("--log-format %q: it is auto, journal, text or json", p.logFormat)
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
