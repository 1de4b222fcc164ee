// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A socket without TCP MD5 keys gets a filter instead. A UDP socket is such a
// socket, and needs no privilege for the filter.
func TestDroppingFallsBackToFilter(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, dropping := range []bool{true, false} {
		if err := setDropping(c, unix.AF_INET, dropping); err != nil {
			t.Fatal(err)
		}
		text := map[bool]string{true: "dropped", false: "received"}[dropping]
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := server.Read(b); string(b[:n]) != "received" {
		t.Errorf("read %q, %v, want the second datagram only", b[:n], err)
	}
}

// If neither way works, the error names both and says what to do.
func TestDroppingFails(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = setDropping(c, unix.AF_INET, true)
	for _, want := range []string{"TCP_MD5SIG_EXT: socket operation on non-socket", "SO_ATTACH_FILTER: ", "run as root, or use refuse or hang"} {
		if !errors.Is(err, syscall.ENOTSOCK) || !strings.Contains(err.Error(), want) {
			t.Errorf("setDropping = %v, want an error with %q", err, want)
		}
	}
}
