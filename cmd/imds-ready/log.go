// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/refresh"
)

// logger makes the logger for --log-level and --log-format, and replaces the
// format auto by the one that it stands for.
func (p *program) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(p.logLevel)); err != nil {
		return nil, fmt.Errorf("invalid --log-level %q: must be debug, info, warn or error", p.logLevel)
	}
	if p.logFormat == "auto" {
		p.logFormat = "text"
		if connected, err := journal.StderrIsJournalStream(); err == nil && connected {
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
			return nil, errors.New("--log-format journal: this machine has no journal socket; must be text or json here")
		}
		return slog.New(&journalHandler{level: level}), nil
	default:
		return nil, fmt.Errorf("invalid --log-format %q: must be auto, journal, text or json", p.logFormat)
	}
}

// readable rounds durations for people, in JSON too, names the level of a notice, and
// omits the time if the journal reads the text and adds its own.
func readable(groups []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().Round(time.Millisecond).String())
	}
	if a.Key == slog.LevelKey && len(groups) == 0 && a.Value.Any() == refresh.LevelNotice {
		return slog.String(a.Key, "NOTICE")
	}
	if a.Key == slog.TimeKey && len(groups) == 0 && os.Getenv("JOURNAL_STREAM") != "" {
		return slog.Attr{}
	}
	return a
}

// journalHandler speaks the journal's native protocol, so that each attribute
// is a field: journalctl IMDS_CLASS=connect-timeout. The message repeats most
// attributes, because journalctl shows nothing else by default.
type journalHandler struct {
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements [slog.Handler].
func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements [slog.Handler].
func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	message, fields := h.entry(r)
	return journal.Send(message, priority(r.Level), fields)
}

// entry returns the message and the fields for a record.
func (h *journalHandler) entry(r slog.Record) (message string, fields map[string]string) {
	message, fields = r.Message, map[string]string{}
	add := func(a slog.Attr) bool {
		value := readable(nil, a).Value.String()
		fields["IMDS_"+strings.ToUpper(a.Key)] = value
		switch a.Key {
		case "class", "path", "state", "endpoint", "refresh": // the message says these in words
		default:
			if value == "" || strings.ContainsAny(value, " \"=") { // as slog's text
				value = strconv.Quote(value)
			}
			message += " " + a.Key + "=" + value
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	if id := messageID(fields["IMDS_REFRESH"], fields["IMDS_STATE"], fields["IMDS_CLASS"]); id != "" {
		fields["MESSAGE_ID"] = id
	}
	return message, fields
}

// WithAttrs implements [slog.Handler].
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{level: h.level, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements [slog.Handler]; the journal's fields are flat.
func (h *journalHandler) WithGroup(string) slog.Handler { return h }

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= refresh.LevelNotice:
		return journal.PriNotice
	case l >= slog.LevelInfo:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}

// The socket of the journal's native protocol, and how long a process that ends waits for
// the journal, which may hang.
const (
	journalSocket   = "/run/systemd/journal/socket"
	journalPatience = 3 * time.Second
)

// awaitJournal returns when the journal has stored all that was sent to its socket before,
// at the latest after the limit. The journal finds the unit of a message in /proc. If the
// process is gone by then, `journalctl -u` does not show the message (systemd issue 2913).
func awaitJournal(socket string, limit time.Duration) {
	end := time.Now().Add(limit)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	// The journal ignores an entry without fields, but reads it after those before it.
	queued := func() bool {
		return unix.Sendto(fd, []byte("\n"), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: socket}) != unix.EAGAIN
	}
	read := func() bool { // SIOCOUTQ counts what the receiver has not read
		n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return n == 0 || err != nil
	}
	for _, done := range []func() bool{queued, read} {
		for !done() && time.Now().Before(end) {
			time.Sleep(time.Millisecond)
		}
	}
}
