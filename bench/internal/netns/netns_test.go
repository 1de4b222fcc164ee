// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Inside {
		if err := inside(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// inside runs in a namespace.
func inside(mode string) error {
	if mode == "hang" {
		<-make(chan int)
	}
	if err := Alone(); err != nil {
		return err
	}
	addr := netip.MustParseAddr("192.0.2.1")
	if c, err := net.DialTimeout("tcp", "192.0.2.1:80", time.Second); err == nil {
		c.Close()
		return errors.New("the address is reachable")
	}
	if err := errors.Join(Up("lo"), Add("lo:1", addr)); err != nil {
		return err
	}
	if Alone() == nil {
		return errors.New("Alone accepts lo although it is up")
	}
	if err := AddIPv6(context.Background(), "lo", netip.MustParseAddr("2001:db8::1")); err != nil && !errors.Is(err, exec.ErrNotFound) {
		return err
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	sent, syns, err := Watch("lo", func() {
		if c, err := net.DialTimeout("tcp", "127.0.0.1:9", time.Second); err == nil {
			c.Close()
		}
	})
	if err != nil || len(sent) != 2 || len(syns) != 1 || syns[0] != sent[0] || time.Since(time.Unix(0, int64(sent[0]))) > time.Minute {
		return fmt.Errorf("watched %v and %v, %w, want a SYN and a RST", sent, syns, err)
	}
	fmt.Println(all)
	_, _, none := Watch("eth99", func() {})
	if none == nil || Up("eth99") == nil || Add("lo", netip.MustParseAddr("::1")) == nil {
		return errors.New("a missing interface, or an IPv6 address, is not an error")
	}
	return nil
}

// TestNamespace also accepts a kernel that refuses a namespace, if the error has a hint.
func TestNamespace(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	out, err := Output(t.Context(), "look")
	if err != nil && strings.Contains(err.Error(), "making a network namespace") && strings.HasSuffix(err.Error(), "or allow user namespaces") {
		return
	}
	if err != nil || !strings.Contains(string(out), "127.0.0.1/8") || !strings.Contains(string(out), "192.0.2.1/") {
		t.Errorf("%v; the addresses are %s", err, out)
	}
}

func TestEndOfContextEndsIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Output(ctx, "hang"); err == nil {
		t.Error("no error")
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestIsSYN(t *testing.T) {
	packet := func(header int, protocol, flags byte) []byte {
		p := make([]byte, header+20)
		p[0], p[9], p[header+13] = byte(0x40|header/4), protocol, flags
		return p
	}
	ipv6, cut := packet(20, 6, 2), packet(20, 6, 2)[:33]
	ipv6[0] = 0x65
	for _, yes := range [][]byte{packet(20, 6, 0x02), packet(24, 6, 0x02), packet(20, 6, 0xc2)} { // alone, behind options, with ECN
		if !isSYN(yes) {
			t.Errorf("%x is a SYN", yes)
		}
	}
	for _, no := range [][]byte{packet(20, 6, 0x12), packet(20, 6, 0x14), packet(20, 17, 0x02), ipv6, cut, nil} { // SYN-ACK, RST-ACK, UDP
		if isSYN(no) {
			t.Errorf("%x is not a SYN", no)
		}
	}
}
