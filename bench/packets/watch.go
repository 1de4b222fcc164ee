// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watcher hears of every packet that an interface sends (packet(7)), with the
// kernel's time of it. A counter that is read now and then will not do: the
// pacing lets a second's requests go in a few milliseconds, and a window that is
// longer by one reading would have part of the next second's too.
type watcher struct{ socket int }

// open begins to watch an interface.
func open(device string) (*watcher, error) {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("watching packets: %w", err)
	}
	const every = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in network order
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("watching packets: %w", err)
	}
	wait := unix.NsecToTimeval(idle.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20), // as much of it as there may be
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: every, Ifindex: link.Index}),
	)
	if err != nil {
		unix.Close(socket)
		return nil, fmt.Errorf("watching packets of %s: %w", device, err)
	}
	return &watcher{socket: socket}, nil
}

// idle is how long nothing has to be sent after the end of a crawl, until its
// last FIN is taken to have been.
const idle = 100 * time.Millisecond

// until returns when each packet was sent, until over is closed and nothing
// more comes. Then the watcher is no more.
func (w *watcher) until(over <-chan struct{}) ([]time.Duration, error) {
	defer unix.Close(w.socket)
	var sent []time.Duration
	control := make([]byte, 256)
	for {
		_, n, _, from, err := unix.Recvmsg(w.socket, nil, control, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN): // idle
			select {
			case <-over:
				return sent, nil
			default:
				continue
			}
		case err != nil:
			return nil, fmt.Errorf("watching packets: %w", err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); !ok || link.Pkttype != unix.PACKET_OUTGOING {
			continue
		}
		at, err := timestamp(control[:n])
		if err != nil {
			return nil, err
		}
		sent = append(sent, at)
	}
}

// timestamp is the kernel's of a packet, since 1970.
func timestamp(control []byte) (time.Duration, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, fmt.Errorf("watching packets: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			seconds, nanoseconds := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return time.Duration(seconds)*time.Second + time.Duration(nanoseconds), nil
		}
	}
	return 0, errors.New("watching packets: one has no time")
}

// busiest is the most packets in any window of a length, its end not included.
// The times are in order.
func busiest(sent []time.Duration, window time.Duration) int {
	most, first := 0, 0
	for i, at := range sent {
		for at-sent[first] >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// total is how many packets an interface has sent, by /proc/net/dev, which is
// the namespace's; /sys has that of whoever mounted it.
func total(device string) (int, error) {
	table, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, fmt.Errorf("counting packets: %w", err)
	}
	return parseTotal(string(table), device)
}

// parseTotal finds the tenth number of an interface (proc_pid_net(5)).
func parseTotal(table, device string) (int, error) {
	for line := range strings.Lines(table) {
		name, numbers, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != device {
			continue
		}
		fields := strings.Fields(numbers)
		if len(fields) < 10 {
			return 0, fmt.Errorf("counting packets: %d columns in %q", len(fields), line)
		}
		n, err := strconv.Atoi(fields[9])
		if err != nil {
			return 0, fmt.Errorf("counting packets: %w", err)
		}
		return n, nil
	}
	return 0, fmt.Errorf("counting packets: there is no interface %s", device)
}
