// SPDX-License-Identifier: Apache-2.0

// Package netns runs a benchmark's own program again in a network namespace of
// its own, and sets that up. It is how an address can be late, and how packets
// can be counted, without the machine's network: a new namespace has one
// interface, lo, which is down, and no route. Nothing that happens in it leaves
// it, so that even 169.254.169.254 is nobody but who is put there. Alone is what
// makes sure of that, before anything else is done.
//
// Making one takes root, or a kernel that lets everybody have a user namespace
// (user_namespaces(7)); then the program is root in that one.
package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/bench/internal/command"
)

// Inside is the first argument of a program that Command has started.
const Inside = "inside-namespace"

// Attr makes a process that is started with it one of a new network namespace.
func Attr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Command is this program again, in a new namespace, with Inside and then args
// as its arguments. The end of ctx is a SIGTERM, so that it ends what it started
// itself; a SIGKILL follows.
func Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{Inside}, args...)...)
	cmd.SysProcAttr = Attr()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// Either is a program that is inside where Command has started it, with the
// arguments behind Inside, and outside anywhere else.
func Either(outside, inside command.Func) command.Func {
	return func(ctx context.Context, args []string, stdout io.Writer) error {
		if len(args) > 0 && args[0] == Inside {
			return inside(ctx, args[1:], stdout)
		}
		return outside(ctx, args, stdout)
	}
}

// Output starts such a command and returns what it prints. The error tells what
// to do when the kernel gives no namespace.
func Output(ctx context.Context, args ...string) ([]byte, error) {
	cmd, err := Command(ctx, args...)
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return nil, fmt.Errorf("in a network namespace: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	case err != nil:
		return nil, fmt.Errorf("making a network namespace: %w: run this as root, or allow user namespaces", err)
	}
	return out, nil
}

// Alone returns nil in a namespace that was just made: its only interface is
// loopback, and down. Anywhere else nothing must be measured.
func Alone() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("looking at the network namespace: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 || i.Flags&net.FlagUp != 0 {
			return fmt.Errorf("this is not a network namespace of its own: it has %s (%v)", i.Name, i.Flags)
		}
	}
	return nil
}

// Up brings an interface up. lo gets 127.0.0.1 and ::1 by that.
func Up(name string) error {
	return control(name, "bringing up", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
}

// Add gives an interface an IPv4 address, which is announced as `ip address add`
// is; that the netmask is the one of its class does not matter here. A name such
// as lo:1 keeps those that lo has (netdevice(7)).
func Add(name string, addr netip.Addr) error {
	return control(name, "adding "+addr.String()+" to", unix.SIOCSIFADDR, func(r *unix.Ifreq) error {
		return r.SetInet4Addr(addr.AsSlice())
	})
}

func control(name, doing string, what uint, set func(*unix.Ifreq) error) error {
	r, err := unix.NewIfreq(name)
	if err == nil {
		err = set(r)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	defer unix.Close(socket)
	if err := unix.IoctlIfreq(socket, what, r); err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	return nil
}
