// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// journalHandler speaks the journal's native protocol, so that each attribute
// is a field: journalctl IMDS_CLASS=connect-timeout. The journal has its own
// timestamps. The message carries the attributes too: journalctl shows nothing
// else.
type journalHandler struct {
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements [slog.Handler].
func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements [slog.Handler].
func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	fields := map[string]string{}
	message := r.Message
	add := func(a slog.Attr) bool {
		value := readable(nil, a).Value.String()
		fields[fieldName(a.Key)] = value
		message += fmt.Sprintf(" %s=%q", a.Key, value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	return journal.Send(message, priority(r.Level), fields)
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
