// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
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
func inside(what string) error {
	if what == "hang" {
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
	all, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	sent, err := Watch("lo", func() {
		if c, err := net.DialTimeout("tcp", "127.0.0.1:9", time.Second); err == nil {
			c.Close()
		}
	})
	if err != nil || len(sent) != 2 || !sent[0].SYN || sent[1].SYN || time.Since(time.Unix(0, int64(sent[0].At))) > time.Minute {
		return fmt.Errorf("watched %v, %w, want a SYN and a RST", sent, err)
	}
	fmt.Println(all)
	_, none := Watch("eth99", func() {})
	return errors.Join(expect(none, "watching packets of eth99: "), expect(Up("eth99"), "bringing up eth99: "), expect(Add("lo", netip.MustParseAddr("::1")), "adding ::1 to lo: "))
}

func expect(err error, want string) error {
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		return fmt.Errorf("err = %w, want %q", err, want)
	}
	return nil
}

// refused reports whether the kernel refuses a namespace. Then the test can only check the hint.
func refused(t *testing.T, err error) bool {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "making a network namespace") {
		return false
	}
	if !strings.HasSuffix(err.Error(), "run this as root, or allow user namespaces") {
		t.Errorf("no hint in %v", err)
	}
	return true
}

func TestNamespace(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	out, err := Output(t.Context(), "look")
	if refused(t, err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1/8", "192.0.2.1/"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in %s", want, out)
		}
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

// TestNotAloneHere guards the check that keeps a benchmark from adding the address of IMDS to a real machine: here at
// least loopback is up.
func TestNotAloneHere(t *testing.T) {
	if err := Alone(); err == nil || !strings.HasPrefix(err.Error(), "this is not a network namespace of its own: ") {
		t.Errorf("err = %v", err)
	}
}

func TestIsSYN(t *testing.T) {
	packet := func(header int, protocol, flags byte) []byte {
		p := make([]byte, header+20)
		p[0], p[9], p[header+13] = byte(0x40|header/4), protocol, flags
		return p
	}
	other := packet(20, 6, 2)
	other[0] = 0x65
	for _, tc := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"SYN", packet(20, 6, 0x02), true},
		{"behind options", packet(24, 6, 0x02), true},
		{"with ECN", packet(20, 6, 0xc2), true},
		{"SYN, ACK", packet(20, 6, 0x12), false},
		{"RST, ACK", packet(20, 6, 0x14), false},
		{"UDP", packet(20, 17, 0x02), false},
		{"not IPv4", other, false},
		{"cut", packet(20, 6, 2)[:33], false},
		{"nothing", nil, false},
	} {
		if got := isSYN(tc.packet); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
