// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// manager stands in for systemd at NOTIFY_SOCKET.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	os.Remove(name) // its socket before; an abstract name leaves none
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return conn
}

func wantDatagram(t *testing.T, from *net.UnixConn, want string) {
	t.Helper()
	buf := make([]byte, 4096)
	if err := from.SetReadDeadline(time.Now().Add(time.Minute)); err != nil { // instead of for ever
		t.Fatal(err)
	}
	n, err := from.Read(buf)
	if err != nil || string(buf[:n]) != want {
		t.Fatalf("datagram %q, %v, want %q", buf[:n], err, want)
	}
}

// A socket can be a file or an abstract name, and systemd may be executed anew
// between two datagrams.
func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "s"), fmt.Sprintf("@imds-ready/%s", t.TempDir())} {
		t.Run(name[:1], func(t *testing.T) {
			first := manager(t, name)
			for i := range 3 {
				state := fmt.Sprintf("STATUS=%d", i)
				if err := notify(state); err != nil {
					t.Fatal(err)
				}
				wantDatagram(t, first, state)
			}
			first.Close()
			if err := notify("STATUS=lost"); !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOENT) {
				t.Errorf("to nobody: %v", err)
			}
			again := manager(t, name)
			if err := notify("READY=1"); err != nil {
				t.Fatal(err)
			}
			wantDatagram(t, again, "READY=1")
		})
	}
}

// While systemd is behind, its queue is full: nothing is lost, and the order stays.
func TestNotifyWaits(t *testing.T) {
	systemd := manager(t, filepath.Join(t.TempDir(), "s"))
	const many = 2000 // more than net.unix.max_dgram_qlen, whatever it is set to
	sent := make(chan error, 1)
	go func() {
		for i := range many {
			if err := notify(fmt.Sprintf("STATUS=%d", i)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range many {
		wantDatagram(t, systemd, fmt.Sprintf("STATUS=%d", i))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
