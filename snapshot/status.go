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

// SchemaVersion is the version of status.json that this package writes. Keys may
// be added within it; a reader ignores those that it does not know.
const SchemaVersion = 1

// The states of the gate. Every state but Waiting is final.
const (
	Waiting  = "waiting"
	Ready    = "ready"
	Degraded = "degraded"
	Skipped  = "skipped"
	Failed   = "failed"
)

// Status is status.json: how the gate went. Fields are declared in the order of
// their JSON names, which are all always there. A nil pointer is null.
type Status struct {
	// Attempts is the number of tries to get a required path.
	Attempts int `json:"attempts"`
	// BootID is the kernel's, from /proc/sys/kernel/random/boot_id: files beside
	// a status of another boot are not to be trusted. Never "": such a file is not
	// read back.
	BootID string `json:"boot_id"`
	// DeadlineAt is when the wait gives up; nil: never.
	DeadlineAt *time.Time `json:"deadline_at"`
	// Elapsed is the time since the start of run, on the monotonic clock.
	Elapsed Seconds `json:"elapsed_seconds"`
	// Endpoint is the base URL that answered, without a final slash.
	Endpoint *string `json:"endpoint"`
	// Errors counts failed attempts by class.
	Errors map[string]int `json:"errors"`
	// ExitCode is the daemon's; nil while it waits.
	ExitCode *int `json:"exit_code"`
	// Files are the SHA-256 digests in hexadecimal, nil for secret files.
	Files map[string]*string `json:"files"`
	// Generation counts the successful collections of this boot.
	Generation int `json:"generation"`
	// LastError is the last failure; nil when there was none.
	LastError *LastError `json:"last_error"`
	// Missing has the class of each path that could not be fetched, by path below the
	// version: at most 512, those nearest to the root.
	Missing map[string]string `json:"missing"`
	// MissingMore counts the paths for which Missing has no room.
	MissingMore int `json:"missing_more"`
	// PID is the daemon's; nil once the status is final.
	PID *int `json:"pid"`
	// ReadyAt is when READY=1 was sent.
	ReadyAt *time.Time `json:"ready_at"`
	// Requests counts every request tried, the tokens' too.
	Requests int `json:"requests"`
	// Required says of each required path whether it was had.
	Required map[string]Requirement `json:"required"`
	// Schema is the version of the format; [Status.Normal] sets it.
	Schema int `json:"schema"`
	// StartedAt is when run began.
	StartedAt *time.Time `json:"started_at"`
	// State is one of [Waiting], [Ready], [Degraded], [Skipped] and [Failed].
	State string `json:"state"`
	// UpdatedAt is when this status was made.
	UpdatedAt *time.Time `json:"updated_at"`
	// Version is the daemon's.
	Version string `json:"version"`
}

// LastError is the last failure, for people and for machines.
type LastError struct {
	At      time.Time `json:"at"`
	Class   string    `json:"class"`
	Hint    string    `json:"hint"`    // what to do; "" when nothing is known
	Message string    `json:"message"` // the error
	Path    string    `json:"path"`    // below the version; "" when there is none
}

// Requirement is the state of one required path.
type Requirement struct {
	Class *string `json:"class"`          // of the last failure; nil when there was none
	Hint  string  `json:"hint,omitempty"` // what to do about the last failure, if it is known
	OK    bool    `json:"ok"`
}

// Seconds is a duration that JSON has in seconds with three decimals, 2.300.
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

// CheckBoot returns nil if st is of the boot bootID, such as [BootID], or if bootID
// is [AnyBoot]; otherwise an error that matches [ErrOtherBoot].
func (st Status) CheckBoot(bootID string) error {
	if bootID == AnyBoot || bootID != "" && st.BootID == bootID {
		return nil
	}
	return fmt.Errorf("a status %w (%s)", ErrOtherBoot, words.Printable(st.BootID))
}

// ProcessGone reports whether the process that st names does not exist (kill(2)
// with signal 0 fails with ESRCH). It is false if st names none, and it means
// nothing in another PID namespace than the daemon's.
func (st Status) ProcessGone() bool {
	if st.PID == nil || *st.PID <= 0 { // kill(2) takes these for groups
		return false
	}
	return errors.Is(unix.Kill(*st.PID, 0), unix.ESRCH)
}

// Normal returns st as it is written: empty maps instead of nil ones, times in UTC
// with milliseconds, Schema set. It shares no memory with st that it changes.
func (st Status) Normal() Status {
	st.Schema = SchemaVersion
	st.Errors = notNil(st.Errors)
	st.Files = notNil(st.Files)
	st.Missing = notNil(st.Missing)
	st.Required = notNil(st.Required)
	st.DeadlineAt = inUTC(st.DeadlineAt)
	st.ReadyAt = inUTC(st.ReadyAt)
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
