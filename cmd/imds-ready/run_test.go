// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

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

// A console that takes no more output delays nothing, and gets the next line when
// it is free again.
func TestNonblocking(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	console := nonblocking(w.Fd()) // Fd makes the descriptor blocking
	written := 0
	for err == nil {
		var n int
		n, err = console.Write(make([]byte, 4096))
		written += max(n, 0)
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("writing to a full pipe: %v, want %v", err, syscall.EAGAIN)
	}
	if _, err := io.CopyN(io.Discard, r, int64(written)); err != nil {
		t.Fatal(err)
	}
	if _, err := console.Write([]byte("ready")); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "ready" {
		t.Errorf("read %q, %v, want the line", line, err)
	}
}
