// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// The socket can be a file or an abstract name. If systemd is slow, the queue is
// full, and notify waits: no datagram is lost, and the order stays.
func TestNotifyWaits(t *testing.T) {
	const many = 2000 // more than net.unix.max_dgram_qlen
	for _, name := range []string{filepath.Join(t.TempDir(), "s"), "@imds-ready" + t.TempDir()} {
		systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer systemd.Close()
		if err := systemd.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
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
		buf := make([]byte, 4096)
		for i := range many {
			n, err := systemd.Read(buf)
			if want := fmt.Sprintf("STATUS=%d", i); err != nil || string(buf[:n]) != want {
				t.Fatalf("%s: datagram %q, %v, want %q", name, buf[:n], err, want)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

func TestBootID(t *testing.T) {
	kernel := snapshot.BootID()
	for _, tt := range []struct{ name, env, want string }{
		{"as systemd writes it", "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"},
		{"capital letters", "0123456789ABCDEF0123456789ABCDEF", "01234567-89ab-cdef-0123-456789abcdef"},
		{"not set", "", kernel},
		{"too short", "0123456789abcdef", kernel},
		{"too long", "0123456789abcdef0123456789abcdef00", kernel},
		{"not hexadecimal", "%bxx456789abcdef0123456789abcdef", kernel},
		{"with dashes", "01234567-89ab-cdef-0123-456789abcdef", kernel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("IMDS_READY_BOOT_ID", tt.env)
			if got := bootID(); got != tt.want {
				t.Errorf("bootID() = %q, want %q", got, tt.want)
			}
		})
	}
}
