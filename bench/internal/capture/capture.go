// SPDX-License-Identifier: Apache-2.0

// Package capture hears of every packet that a network interface sends (packet(7)),
// with the kernel's time of it. It takes CAP_NET_RAW, which whoever has made a
// network namespace has in it.
package capture

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

// Capture is what an interface sends from Start to Stop. A counter that is read now
// and then will not do: the pacing lets a second's requests go in a few
// milliseconds, and a window that is longer by one reading would have part of
// the next second's too.
type Capture struct {
	socket int
	over   chan struct{} // closed by Stop
	done   chan struct{} // closed when sent and err are what it came to
	sent   []Packet
	err    error
}

// Packet is one that was sent.
type Packet struct {
	// At is the kernel's time of it, since 1970.
	At time.Duration
	// SYN is true for the one that asks for a TCP connection over IPv4.
	SYN bool
}

// Start begins to watch an interface; Stop has to end it.
func Start(device string) (*Capture, error) {
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
	c := &Capture{socket: socket, over: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer unix.Close(socket)
		c.sent, c.err = c.read()
	}()
	return c, nil
}

// Stop returns what was sent, once nothing more comes. It is called once.
func (c *Capture) Stop() ([]Packet, error) {
	close(c.over)
	<-c.done
	return c.sent, c.err
}

// idle is how long nothing has to be sent after the call of Stop, until the last
// FIN is taken to have been.
const idle = 100 * time.Millisecond

// read returns what is sent, until over is closed and nothing more comes.
func (c *Capture) read() ([]Packet, error) {
	var sent []Packet
	head, control := make([]byte, 128), make([]byte, 256)
	for {
		length, n, _, from, err := unix.Recvmsg(c.socket, head, control, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN): // idle
			select {
			case <-c.over:
				return sent, nil
			default:
				continue
			}
		case err != nil:
			return nil, fmt.Errorf("watching packets: %w", err)
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok || link.Pkttype != unix.PACKET_OUTGOING {
			continue
		}
		at, err := timestamp(control[:n])
		if err != nil {
			return nil, err
		}
		sent = append(sent, Packet{At: at, SYN: asks(head[:length])})
	}
}

// asks reports whether a packet is TCP over IPv4 with SYN and without ACK (RFC
// 791 section 3.1, RFC 9293 section 3.1).
func asks(packet []byte) bool {
	const tcp, syn, ack = 6, 0x02, 0x10
	if len(packet) < 20 || packet[0]>>4 != 4 || packet[9] != tcp {
		return false
	}
	flags := int(packet[0]&0xf)*4 + 13
	return flags < len(packet) && packet[flags]&(syn|ack) == syn
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

// Busiest is the most packets in any window of a length, its end not included.
// They are in order.
func Busiest(sent []Packet, window time.Duration) int {
	most, first := 0, 0
	for i, p := range sent {
		for p.At-sent[first].At >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Total is how many packets an interface has sent, by /proc/net/dev, which is
// the namespace's; /sys has that of whoever mounted it.
func Total(device string) (int, error) {
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
