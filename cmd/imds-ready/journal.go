// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// journalHandler speaks the journal's native protocol, so that each attribute
// is a field: journalctl IMDS_CLASS=connect-timeout. The journal has its own
// timestamps. The message carries most of them too, as journalctl shows nothing
// else by default.
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

// entry is a record's message and fields.
func (h *journalHandler) entry(r slog.Record) (message string, fields map[string]string) {
	message, fields = r.Message, map[string]string{}
	add := func(a slog.Attr) bool {
		value := readable(nil, a).Value.String()
		fields[fieldName(a.Key)] = value
		switch a.Key {
		case "class", "path", "state", "endpoint": // the message has them in words
		default:
			message += " " + a.Key + "=" + quoted(value)
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	if id := messageID(fields["IMDS_STATE"], fields["IMDS_CLASS"]); id != "" {
		fields["MESSAGE_ID"] = id
	}
	return message, fields
}

// quoted quotes a value that has spaces, as slog's text does.
func quoted(value string) string {
	if value == "" || strings.ContainsAny(value, " \"=") {
		return strconv.Quote(value)
	}
	return value
}

// WithAttrs implements [slog.Handler].
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{level: h.level, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements [slog.Handler]; the journal's fields are flat.
func (h *journalHandler) WithGroup(string) slog.Handler { return h }

// fieldName is an attribute's key as a journal field (systemd.journal-fields(7)).
func fieldName(key string) string { return "IMDS_" + strings.ToUpper(key) }

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}
