// SPDX-License-Identifier: Apache-2.0

package netevents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// groups are the multicast groups of links, addresses and routes (rtnetlink(7)).
const groups = unix.RTMGRP_LINK |
	unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE |
	unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE

// Watch returns a channel with one slot that is filled when the network changes. A
// burst of changes fills it once. When the context ends, the channel is closed. Watch
// fails if the process must not open a netlink socket, as in some sandboxes.
func Watch(ctx context.Context) (<-chan struct{}, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("joining the groups of rtnetlink: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "netlink") // non-blocking: reads wait in the runtime's poller
	conn, err := socket.SyscallConn()
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("reading the netlink socket: %w", err)
	}
	changed := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	go func() {
		defer close(changed)
		defer stop()
		defer socket.Close()
		listen(ctx, func() error { return drain(conn) }, changed)
	}()
	return changed, nil
}

// After a change, the next one is noticed 25 ms later at the earliest. Twenty changes can
// follow each other like that, and then four in a second, so that a flood of changes costs
// little. A boot seldom has more.
const (
	shortRest = 25 * time.Millisecond
	longRest  = 250 * time.Millisecond
	inARow    = 20
)

// listen fills the slot after each read, until one fails or the context ends. ENOBUFS
// means that there were more datagrams than the socket could hold, which is a change as
// well.
func listen(ctx context.Context, read func() error, changed chan<- struct{}) {
	allowed, counted := float64(inARow), time.Now()
	for {
		if err := read(); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case changed <- struct{}{}:
		default: // the slot is full
		}
		now := time.Now()
		allowed = min(inARow, allowed+float64(now.Sub(counted))/float64(longRest)) - 1
		counted = now
		rest := max(shortRest, time.Duration((1-allowed)*float64(longRest)))
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
}

// drain waits for a datagram and reads all that are there. Their content is ignored.
func drain(conn syscall.RawConn) (err error) {
	one := make([]byte, 1) // the rest of a datagram is dropped
	closed := conn.Read(func(fd uintptr) bool {
		for n := 0; ; n++ {
			if _, err = unix.Read(int(fd), one); err == nil || errors.Is(err, unix.EINTR) {
				continue
			}
			if errors.Is(err, unix.EAGAIN) {
				err = nil
				return n > 0
			}
			return true
		}
	})
	return errors.Join(err, closed)
}
