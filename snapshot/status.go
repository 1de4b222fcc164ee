// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/words"
)

// SchemaVersion is the version of the format of status.json. Adding a key does not
// change the version, so readers must ignore keys that they do not know.
const SchemaVersion = 1

// The states of the gate. Every state except Waiting is final.
const (
	Waiting  = "waiting"
	Ready    = "ready"
	Degraded = "degraded"
	Skipped  = "skipped"
	Failed   = "failed"
)

// Status is the content of status.json: the state of the gate and how it was reached.
// Fields are declared in the order of their JSON names. Every key is always present; a
// nil pointer is written as null.
type Status struct {
	// Attempts is the number of attempts to fetch a required path. An attempt that the
	// deadline cuts is counted only if it was the only one, and one after which a rule
	// waits is not counted.
	Attempts int `json:"attempts"`
	// BootID is the result of [BootID] in the daemon. The files beside a status of
	// another boot must not be trusted. It is never empty: readers reject such a file.
	BootID string `json:"boot_id"`
	// Changed are the sorted names of the files that the last successful collection
	// replaced or removed. It is empty if they were all as before.
	Changed []string `json:"changed"`
	// CollectedAt is when the last successful collection ended, or nil if there was none
	// in this boot.
	CollectedAt *time.Time `json:"collected_at"`
	// DeadlineAt is when the daemon gives up, or nil if it waits without a limit.
	DeadlineAt *time.Time `json:"deadline_at"`
	// Elapsed is the time since StartedAt by the monotonic clock.
	Elapsed Seconds `json:"elapsed_seconds"`
	// Endpoint is the base URL that answered, without a final slash.
	Endpoint *string `json:"endpoint"`
	// Errors counts failed attempts by class.
	Errors map[string]int `json:"errors"`
	// ExitCode is the exit code of the daemon, or nil while it waits.
	ExitCode *int `json:"exit_code"`
	// Files are the SHA-256 digests of the files in hexadecimal, by name. The digest
	// of a secret file is nil.
	Files map[string]*string `json:"files"`
	// Generation counts the successful collections of this boot.
	Generation int `json:"generation"`
	// LastError is the last failure, or nil if nothing has failed. After a refresh, it is
	// that of the refresh.
	LastError *LastError `json:"last_error"`
	// Missing contains the error class of each path that could not be fetched, by path
	// below the version. It has at most 512 entries, those nearest to the root.
	Missing map[string]string `json:"missing"`
	// MissingMore is the number of paths that could not be fetched either, but do not
	// fit in Missing.
	MissingMore int `json:"missing_more"`
	// PID is the process ID of the daemon, or nil if the status is final.
	PID *int `json:"pid"`
	// ReadyAt is when READY=1 was sent, or nil if it was not sent.
	ReadyAt *time.Time `json:"ready_at"`
	// Requests counts all requests of the gate or, after a refresh, of the refresh,
	// including those for tokens and those that failed.
	Requests int `json:"requests"`
	// Required contains the state of each required path.
	Required map[string]Requirement `json:"required"`
	// Schema is the version of the format; [Status.Normal] sets it.
	Schema int `json:"schema"`
	// StaleSince is when the first refresh failed after the last one that succeeded, or
	// nil if the last one succeeded.
	StaleSince *time.Time `json:"stale_since"`
	// StartedAt is when imds-ready run was started.
	StartedAt *time.Time `json:"started_at"`
	// State is one of [Waiting], [Ready], [Degraded], [Skipped] and [Failed].
	State string `json:"state"`
	// UpdatedAt is when this status was made.
	UpdatedAt *time.Time `json:"updated_at"`
	// Version is the version of the program that wrote this status.
	Version string `json:"version"`
}

// LastError describes the last failure.
type LastError struct {
	At      time.Time `json:"at"`
	Class   string    `json:"class"`
	Hint    string    `json:"hint"`    // what to do about it, or "" if that is not known
	Message string    `json:"message"` // the text of the error
	Path    string    `json:"path"`    // the path below the version, or "" if the failure has no path
}

// Requirement is the state of one required path.
type Requirement struct {
	Class *string `json:"class"`          // the error class of the last failure, or nil if no attempt has failed
	Hint  string  `json:"hint,omitempty"` // what to do about the last failure, or "" if that is not known
	OK    bool    `json:"ok"`             // whether the path was fetched
}

// Seconds is a duration that is encoded in JSON in seconds with three decimals, such
// as 2.300.
type Seconds time.Duration

// MarshalJSON implements [encoding/json.Marshaler].
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Round(time.Millisecond).Seconds(), 'f', 3, 64), nil
}

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (s *Seconds) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("reading seconds: %w", err)
	}
	if limit := float64(1<<63-1) / float64(time.Second); f <= -limit || f >= limit {
		return fmt.Errorf("reading seconds: %s: out of range", data)
	}
	*s = Seconds(time.Duration(f * float64(time.Second)).Round(time.Millisecond))
	return nil
}

// CheckBoot returns nil if st was written in the boot bootID, such as [BootID], or if
// bootID is [AnyBoot]. Otherwise it returns an error that matches [ErrOtherBoot].
func (st Status) CheckBoot(bootID string) error {
	if bootID == AnyBoot || bootID != "" && st.BootID == bootID {
		return nil
	}
	return fmt.Errorf("%w (%s)", ErrOtherBoot, words.Printable(st.BootID))
}

// ProcessGone reports whether the daemon that wrote st no longer exists, that is,
// whether kill(2) with signal 0 fails with ESRCH for its PID. It returns false if st
// has no PID. Its result is meaningful only in the PID namespace of the daemon.
func (st Status) ProcessGone() bool {
	if st.PID == nil || *st.PID <= 0 { // for kill(2), these mean process groups
		return false
	}
	return errors.Is(unix.Kill(*st.PID, 0), unix.ESRCH)
}

// Normal returns st in the form in which it is written: with empty maps and lists instead
// of nil ones, times in UTC with milliseconds, and Schema set. The result shares no maps
// and no lists with st.
func (st Status) Normal() Status {
	st.Schema = SchemaVersion
	st.Changed = append([]string{}, st.Changed...)
	st.Errors = notNil(st.Errors)
	st.Files = notNil(st.Files)
	st.Missing = notNil(st.Missing)
	st.Required = notNil(st.Required)
	st.CollectedAt = inUTC(st.CollectedAt)
	st.DeadlineAt = inUTC(st.DeadlineAt)
	st.ReadyAt = inUTC(st.ReadyAt)
	st.StaleSince = inUTC(st.StaleSince)
	st.StartedAt = inUTC(st.StartedAt)
	st.UpdatedAt = inUTC(st.UpdatedAt)
	if st.LastError != nil {
		last := *st.LastError
		last.At = *inUTC(&last.At)
		st.LastError = &last
	}
	return st
}

func notNil[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC().Truncate(time.Millisecond))
}
