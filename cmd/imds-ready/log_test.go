// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/refresh"
	"github.com/imds-ready/imds-ready/policy"
)

func TestJournalEntry(t *testing.T) {
	h := new(journalHandler).WithAttrs([]slog.Attr{slog.String("boot", "first")}).(*journalHandler)
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "waiting for IMDS: connection refused", 0)
	r.Add("attempt", 7, "class", policy.ConnectionRefused, "path", "meta-data/x", "retry_in", 43217*time.Microsecond,
		"endpoint", "http://127.0.0.1:1338", "err", "PUT http://127.0.0.1: refused")
	message, fields := h.entry(r)
	want := `waiting for IMDS: connection refused boot=first attempt=7 retry_in=43ms err="PUT http://127.0.0.1: refused"`
	if message != want {
		t.Errorf("message %s\nwant    %s", message, want)
	}
	wantFields := map[string]string{
		"IMDS_BOOT": "first", "IMDS_ATTEMPT": "7", "IMDS_CLASS": "connection-refused", "IMDS_PATH": "meta-data/x",
		"IMDS_RETRY_IN": "43ms", "IMDS_ENDPOINT": "http://127.0.0.1:1338", "IMDS_ERR": "PUT http://127.0.0.1: refused",
		"MESSAGE_ID": messageID("", "", "connection-refused"),
	}
	if !maps.Equal(fields, wantFields) {
		t.Errorf("fields %v\nwant   %v", fields, wantFields)
	}
	if _, fields := h.entry(slog.NewRecord(time.Now(), slog.LevelInfo, "waiting", 0)); fields["MESSAGE_ID"] != "" {
		t.Errorf("a record without class and state has the ID %s", fields["MESSAGE_ID"])
	}
}

// A notice has a priority and a name of its own.
func TestNotice(t *testing.T) {
	if got := priority(refresh.LevelNotice); got != journal.PriNotice {
		t.Errorf("the priority of a notice is %d", got)
	}
	if got := readable(nil, slog.Any(slog.LevelKey, refresh.LevelNotice)).Value.String(); got != "NOTICE" {
		t.Errorf("a notice is called %s", got)
	}
	message, fields := new(journalHandler).entry(func() slog.Record {
		r := slog.NewRecord(time.Now(), refresh.LevelNotice, "refreshed again after 1 h", 0)
		r.Add("refresh", "current")
		return r
	}())
	if message != "refreshed again after 1 h" || fields["IMDS_REFRESH"] != "current" || fields["MESSAGE_ID"] != messageID("current", "", "") {
		t.Errorf("message %q, fields %v", message, fields)
	}
}

// A process that ends waits until the journal has read its messages, so that the journal
// finds the unit, but not forever: the queue of the journal may be full, or it may hang.
func TestAwaitJournal(t *testing.T) {
	const limit = time.Second
	for _, c := range []struct {
		name  string
		reads time.Duration // when the journal begins to read
		queue int           // messages that wait for it
		want  time.Duration
	}{
		{name: "slow", reads: 300 * time.Millisecond, queue: 1, want: 300 * time.Millisecond},
		{name: "with a full queue", reads: 300 * time.Millisecond, queue: 1000, want: 300 * time.Millisecond},
		{name: "hangs", reads: time.Hour, queue: 1, want: limit},
		{name: "hangs with a full queue", reads: time.Hour, queue: 1000, want: limit},
	} {
		t.Run(c.name, func(t *testing.T) {
			const socket = "socket" // an absolute path may be too long
			t.Chdir(t.TempDir())
			journal, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(journal)
			if err := unix.Bind(journal, &unix.SockaddrUnix{Name: socket}); err != nil {
				t.Fatal(err)
			}
			client, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(client)
			for range c.queue { // until the queue is full (net.unix.max_dgram_qlen)
				if unix.Sendto(client, []byte("MESSAGE=x\n"), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: socket}) != nil {
					break
				}
			}
			synctest.Test(t, func(t *testing.T) {
				start, stop := time.Now(), make(chan struct{})
				go func() {
					for wait := c.reads; ; wait = time.Millisecond {
						select {
						case <-time.After(wait):
						case <-stop:
							return
						}
						for err := error(nil); err == nil; {
							_, err = unix.Read(journal, make([]byte, 64))
						}
					}
				}()
				awaitJournal(socket, limit)
				close(stop)
				if got := time.Since(start); got < c.want || got > c.want+5*time.Millisecond {
					t.Errorf("it waited %v, want %v", got, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		awaitJournal("missing", limit)
		if got := time.Since(start); got != 0 {
			t.Errorf("without a journal it waited %v", got)
		}
	})
}

// Every ID is explained in the catalog, once, and every explanation has an ID.
func TestCatalog(t *testing.T) {
	catalog, err := os.ReadFile("../../packaging/systemd/imds-ready.catalog")
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, m := range regexp.MustCompile(`(?m)^-- ([0-9a-f]{32})$`).FindAllStringSubmatch(string(catalog), -1) {
		explained = append(explained, m[1])
	}
	used := []string{
		messageID("", "ready", ""), messageID("", "degraded", "404"), messageID("", "skipped", "not-ec2"), messageID("", "failed", "503"),
		messageID("failed", "", "503"), messageID("current", "", ""), messageID("ready", "", ""),
		messageID("", "changed", ""), messageID("", "deaf", "503"), messageID("", "back", ""),
	}
	for _, c := range policy.Classes() {
		if c.MessageID != "" {
			used = append(used, messageID("", "failed", string(c.Class)))
		}
	}
	slices.Sort(explained)
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(used, explained) {
		t.Errorf("IDs in use:\n%s\nexplained:\n%s", strings.Join(used, "\n"), strings.Join(explained, "\n"))
	}
	for _, want := range []string{"Subject: ", "Defined-By: imds-ready", "Support: "} {
		if n := strings.Count(string(catalog), "\n"+want); n != len(explained) {
			t.Errorf("%d entries, but %d have %q", len(explained), n, want)
		}
	}
}
