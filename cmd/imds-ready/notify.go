// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notifier speaks sd_notify(3) over one socket. A wait says some nine things a
// second: a socket for each, as go-systemd makes, was a quarter of all its CPU
// time, and a socket in the runtime's poller wakes the process once more each
// time that systemd has read a datagram.
type notifier struct {
	mu   sync.Mutex
	open bool
	fd   int
}

// send sends one datagram; without NOTIFY_SOCKET it does nothing. While systemd
// is behind, it waits, as sd_notify(3) does.
func (n *notifier) send(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open {
		if err := n.write(state); err == nil {
			return nil
		}
		unix.Close(n.fd) // systemd was executed anew: once more, to the socket of now
		n.open = false
	}
	if err := n.connect(name); err != nil {
		return err
	}
	return n.write(state)
}

// connect opens the socket. A name that begins with "@" is abstract (unix(7)).
func (n *notifier) connect(name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("connecting to %s: %w", name, err)
	}
	n.fd, n.open = fd, true
	return nil
}

// write sends a datagram, at once if it can: a system call that does not block
// need not be told to the scheduler, which for these is most of their cost.
func (n *notifier) write(state string) error {
	_, _, failed := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(n.fd), uintptr(unsafe.Pointer(unsafe.StringData(state))),
		uintptr(len(state)), unix.MSG_DONTWAIT, 0, 0)
	if failed == 0 {
		return nil
	}
	var err error = failed
	for err == unix.EAGAIN || err == unix.EINTR { // its queue is full: wait
		_, err = unix.Write(n.fd, []byte(state))
	}
	if err != nil {
		return fmt.Errorf("sending to systemd: %w", err)
	}
	return nil
}
