// SPDX-License-Identifier: Apache-2.0

package netevents

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// inNamespace is set if this test binary runs in its own network namespace.
const inNamespace = "NETEVENTS_IN_NAMESPACE"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// reads are the results of reading a socket, before it is closed.
type reads []error

func (r *reads) next() error {
	if len(*r) == 0 {
		return os.ErrClosed
	}
	err := (*r)[0]
	*r = (*r)[1:]
	return err
}

func TestListen(t *testing.T) {
	overrun := os.NewSyscallError("read", unix.ENOBUFS)
	for _, tt := range []struct {
		name  string
		reads reads
		want  int
	}{
		{"nothing", nil, 0},
		{"one", reads{nil}, 1},
		{"a burst is one change", reads{nil, nil, nil, nil}, 1},
		{"an overrun is a change", reads{overrun}, 1},
		{"an overrun does not end the watch", reads{overrun, nil, overrun}, 1},
		{"another error ends the watch", reads{errors.New("closed"), nil}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				changed := make(chan struct{}, 1)
				listen(t.Context(), tt.reads.next, changed)
				if len(changed) != tt.want {
					t.Errorf("%d changes, want %d", len(changed), tt.want)
				}
			})
		})
	}
}

// Twenty changes in a row are read 25 ms apart, and then four in a second.
func TestListenInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		listen(t.Context(), func() error {
			at = append(at, time.Since(start).Round(time.Millisecond))
			if len(at) == 40 {
				time.Sleep(6 * time.Second) // quiet again
			}
			if len(at) == 50 {
				return os.ErrClosed
			}
			return nil
		}, make(chan struct{}, 1))
		apart := func(from, to int, want time.Duration) {
			for i := from; i < to; i++ {
				if got := at[i] - at[i-1]; got != want {
					t.Errorf("read %d is %v after the one before, want %v", i, got, want)
				}
			}
		}
		apart(1, 20, shortRest)
		apart(25, 40, longRest) // those in between use up what was allowed meanwhile
		apart(42, 50, shortRest)
	})
}

// The end of the context ends the rest as well, because READY=1 waits for the listener.
func TestListenEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start, changed := time.Now(), make(chan struct{}, 1)
		listen(ctx, (&reads{nil, nil}).next, changed)
		if took := time.Since(start); took != time.Millisecond {
			t.Errorf("listened for %v", took)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	changed, err := Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range changed { // the network of this machine may change meanwhile
	}
}

// In a new network namespace, the kernel reports a link that comes up.
func TestKernelReports(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKernelReports$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = ownNetwork()
		out, err := cmd.CombinedOutput()
		if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
			t.Log("not tested, because users must not create namespaces here; run it as root or with make boot-test")
			return
		}
		if err != nil || !strings.Contains(string(out), "--- PASS: TestKernelReports") {
			t.Fatalf("in a network namespace: %v\n%s", err, out)
		}
		return
	}
	changed, err := Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	setLoopback(t, true)
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("lo came up, but no change was reported")
	}
	// A flood costs neither a deadlock nor more than the one slot.
	for range 2000 {
		setLoopback(t, false)
		setLoopback(t, true)
	}
	if len(changed) > 1 {
		t.Errorf("%d changes in one slot", len(changed))
	}
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("no change was reported after 4000 changes")
	}
}

// setLoopback sets lo up or down (netdevice(7)).
func setLoopback(t *testing.T, up bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	if up {
		request.SetUint16(unix.IFF_UP)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatal(err)
	}
}
