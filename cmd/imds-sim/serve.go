// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// serve does what the flags say, until ctx ends.
func serve(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) error {
	if o.printTree {
		tree, err := o.readTree(stdin)
		if err != nil {
			return err
		}
		return printTree(stdout, tree)
	}
	s, err := o.server(stdin)
	if err != nil {
		return err
	}
	out := &lines{w: stdout, stderr: stderr}
	if o.log != "" {
		to := out
		if o.log != "-" {
			f, err := os.Create(o.log)
			if err != nil {
				return fail(exitCantCreate, "creating --log: %w", err)
			}
			defer f.Close() // every line is written at once
			to = &lines{w: f, stderr: stderr}
		}
		s.OnRequest = to.request
	}
	err = listen(s, o, out)
	if err == nil {
		<-ctx.Done()
	}
	if closing := closeSoon(s); err == nil && closing != nil {
		return fail(exitUnavailable, "following the schedule: %w", closing)
	}
	return err
}

// closeSoon closes the server, but does not wait for long: a log in a full pipe
// without a reader must not keep the program running after a signal.
func closeSoon(s *imdstest.Server) error {
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(500 * time.Millisecond):
		return nil
	}
}

// listen listens on every address and writes the URLs.
func listen(s *imdstest.Server, o options, out *lines) error {
	var urls string
	for _, addr := range o.listen {
		url, err := s.Listen(addr)
		if err != nil {
			return fail(exitUnavailable, "%w", err)
		}
		urls += url + "\n"
	}
	if err := out.write(urls); err != nil {
		return fail(exitIO, "writing the URLs: %w", err)
	}
	if o.urlFile == "" {
		return nil
	}
	// Renamed into place, so that no reader sees half of it.
	temporary := fmt.Sprintf("%s.%d", o.urlFile, os.Getpid())
	err := os.WriteFile(temporary, []byte(urls), 0o644)
	if err == nil {
		err = os.Rename(temporary, o.urlFile)
	}
	if err != nil {
		_ = os.Remove(temporary) // it may not exist
		return fail(exitCantCreate, "creating --url-file: %w", err)
	}
	return nil
}

// lines writes complete lines for several goroutines.
type lines struct {
	stderr io.Writer

	mu     sync.Mutex
	w      io.Writer
	failed bool
}

func (l *lines) write(s string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.w, s)
	return err
}

// logLine is an entry of the log. Every entry has all keys.
type logLine struct {
	At     float64 `json:"at"` // seconds since the start, to the microsecond
	Time   string  `json:"time"`
	Kind   string  `json:"kind"`
	Path   string  `json:"path"`
	Status int     `json:"status"`
	Addr   string  `json:"addr"`
	Token  bool    `json:"token"`
	Fault  string  `json:"fault"`
}

// request logs a request or connection. If the log cannot be written, the
// simulator says so once and continues.
func (l *lines) request(r imdstest.Request) {
	line, err := json.Marshal(logLine{
		At:     math.Round(r.At.Seconds()*1e6) / 1e6,
		Time:   time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
		Kind:   r.Kind,
		Path:   r.Path,
		Status: r.Status,
		Addr:   r.Addr,
		Token:  r.Token,
		Fault:  r.Fault,
	})
	if err == nil {
		err = l.write(string(line) + "\n")
	}
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.failed {
		l.failed = true
		fmt.Fprintf(l.stderr, "imds-sim: writing log: %v\n", err)
	}
}
