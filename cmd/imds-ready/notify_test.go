// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver replaces systemd at NOTIFY_SOCKET: it reads datagrams and keeps them in
// order. A deaf one reads none, so that its queue fills up.
type receiver struct {
	dir  string
	conn *net.UnixConn
	done chan struct{}

	mu        sync.Mutex
	datagrams []string
}

// sentinel is a datagram of the test itself: those sent before it have arrived.
const sentinel = "X_SENTINEL=1"

// receive creates a socket in a directory of its own, because the path of a socket
// is limited to 108 bytes.
func receive(deaf bool) (*receiver, error) {
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		return nil, err
	}
	r := &receiver{dir: dir, done: make(chan struct{})}
	r.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.path(), Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	if deaf {
		close(r.done)
		return r, nil
	}
	go r.read()
	return r, nil
}

func (r *receiver) path() string { return filepath.Join(r.dir, "socket") }

// read reads datagrams until the socket is closed.
func (r *receiver) read() {
	defer close(r.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := r.conn.Read(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.datagrams = append(r.datagrams, string(buf[:n]))
		r.mu.Unlock()
	}
}

// all returns the datagrams so far, without those of the test.
func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.datagrams), func(s string) bool { return s == sentinel })
}

// flushed returns all datagrams that were sent before now.
func (r *receiver) flushed(ts *testscript.TestScript) []string {
	sentinels := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.datagrams) - len(slices.DeleteFunc(slices.Clone(r.datagrams), func(s string) bool { return s == sentinel }))
	}
	before := sentinels()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: r.path(), Net: "unixgram"})
	ts.Check(err)
	defer conn.Close()
	_, err = conn.Write([]byte(sentinel))
	ts.Check(err)
	arrived := until(patience, func() bool { return sentinels() > before })
	if !arrived {
		ts.Fatalf("the socket does not receive the sentinel")
	}
	return r.all()
}

func (r *receiver) close() error {
	err := r.conn.Close()
	<-r.done
	if removed := os.RemoveAll(r.dir); err == nil {
		err = removed
	}
	return err
}

// fill fills the queue of a deaf receiver, so that the next datagram blocks.
func (r *receiver) fill() error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: r.path(), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	for err == nil {
		if err = conn.SetWriteDeadline(time.Now().Add(resendEvery)); err == nil {
			_, err = conn.Write([]byte(sentinel))
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// cmdNotify is "notify [-deaf|-fill]": it sets NOTIFY_SOCKET. -fill fills the queue
// of the last deaf one.
func cmdNotify(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	mode := strings.Join(args, " ")
	switch {
	case !neg && mode == "-fill" && len(w.receivers) > 0:
		ts.Check(w.receivers[len(w.receivers)-1].fill())
		return
	case neg || mode != "" && mode != "-deaf":
		ts.Fatalf("usage: notify [-deaf|-fill]")
	}
	r, err := receive(mode == "-deaf")
	ts.Check(err)
	w.receivers = append(w.receivers, r)
	ts.Setenv("NOTIFY_SOCKET", r.path())
}

// cmdNotified is "notified [-all] FILE": the datagrams, one per line with " && " for
// each line break, match FILE as one regular expression, now or soon. Without -all,
// those that only extend the timeout are omitted.
func cmdNotified(ts *testscript.TestScript, neg bool, args []string) {
	everything := len(args) == 2 && args[0] == "-all"
	w := worldOf(ts)
	if neg || len(w.receivers) == 0 || len(args) != 1 && !everything {
		ts.Fatalf("usage: notified [-all] FILE, after notify")
	}
	want := strings.TrimSuffix(ts.ReadFile(args[len(args)-1]), "\n")
	re, err := regexp.Compile(`\A(?:` + want + `)\z`)
	ts.Check(err)
	var got string
	matches := until(patience, func() bool {
		var lines []string
		for _, d := range w.receivers[len(w.receivers)-1].flushed(ts) {
			if everything || !strings.HasPrefix(d, "EXTEND_TIMEOUT_USEC=") {
				lines = append(lines, strings.ReplaceAll(d, "\n", " && "))
			}
		}
		got = strings.Join(lines, "\n")
		return re.MatchString(got)
	})
	if !matches {
		ts.Fatalf("the datagrams are\n%s\nwhich this does not match:\n%s", got, want)
	}
}
