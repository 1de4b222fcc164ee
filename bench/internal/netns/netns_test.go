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

// inside is what the tests do in a namespace.
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
		return errors.New("somebody is there")
	}
	if err := errors.Join(Up("lo"), Add("lo:1", addr)); err != nil {
		return err
	}
	if Alone() == nil {
		return errors.New("lo is up, and it is not told")
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	fmt.Println(all)
	return errors.Join(expect(Up("eth99"), "bringing up eth99: "), expect(Add("lo", netip.MustParseAddr("::1")), "adding ::1 to lo: "))
}

func expect(err error, want string) error {
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		return fmt.Errorf("err = %w, want %q", err, want)
	}
	return nil
}

// refused reports whether the kernel gives no namespace to whoever tests. Then
// there is only what is said to be looked at.
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

// TestNotAloneHere holds what keeps a benchmark from putting the address of IMDS
// on a real machine: here there is at least a loopback that is up.
func TestNotAloneHere(t *testing.T) {
	if err := Alone(); err == nil || !strings.HasPrefix(err.Error(), "this is not a network namespace of its own: ") {
		t.Errorf("err = %v", err)
	}
}
