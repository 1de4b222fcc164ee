// SPDX-License-Identifier: Apache-2.0

// Package netns runs the harness again in a network namespace of its own, sets the namespace up, and watches the
// packets in it. That makes it possible to add an address late and to count packets without touching the network of the
// machine: a new namespace has one interface, lo, which is down, and no route. Nothing leaves it, so that even
// 169.254.169.254 can only be an address that the benchmark adds. Alone makes sure of that before anything else happens.
//
// Making a namespace requires root, or a kernel that allows every user to make a user namespace (user_namespaces(7)), in
// which the program is root.
package netns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Inside is the first argument of a program that Output has started.
const Inside = "inside-namespace"

// Attr gives a new process a new network namespace.
func Attr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Output runs this program again in a new namespace, with the arguments Inside and arg, and returns its output. The end
// of ctx sends SIGTERM, so that it can end what it started, and SIGKILL five seconds later.
func Output(ctx context.Context, arg string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", Inside, arg)
	cmd.SysProcAttr = Attr()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("in a network namespace: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("making a network namespace: %w: run this as root, or allow user namespaces", err)
	}
	return out, nil
}

// Alone returns nil in a namespace that was just made: its only interface is loopback, and down. If it returns an error,
// nothing may be measured here.
func Alone() error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 || i.Flags&net.FlagUp != 0 {
			return fmt.Errorf("this is not a network namespace of its own: it has %s (%v)", i.Name, i.Flags)
		}
	}
	return nil
}

// Up brings an interface up. For lo the kernel adds 127.0.0.1 and ::1.
func Up(name string) error {
	return control(name, "bringing up", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
}

// Add gives an interface an IPv4 address, with the netmask of its class. The kernel announces it as after `ip address
// add`. A name such as lo:1 keeps the addresses that lo has (netdevice(7)).
func Add(name string, addr netip.Addr) error {
	return control(name, "adding "+addr.String()+" to", unix.SIOCSIFADDR, func(r *unix.Ifreq) error {
		return r.SetInet4Addr(addr.AsSlice())
	})
}

// AddIPv6 gives an interface an IPv6 address, without a subnet. It needs ip(8), since this ioctl takes a structure that
// package unix does not have.
func AddIPv6(ctx context.Context, name string, addr netip.Addr) error {
	out, err := exec.CommandContext(ctx, "ip", "-6", "address", "add", addr.String()+"/128", "dev", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("adding %s to %s: %w: %s", addr, name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func control(name, doing string, what uint, set func(*unix.Ifreq) error) error {
	r, err := unix.NewIfreq(name)
	if err == nil {
		err = set(r)
	}
	socket := -1
	if err == nil {
		socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	}
	if err == nil {
		defer unix.Close(socket)
		err = unix.IoctlIfreq(socket, what, r)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	return nil
}

// Device is the interface that Join makes in this namespace, Peer the address at its other end. Both addresses are of
// TEST-NET-1 (RFC 5737), which is not routed.
const Device, Peer = "bench0", "192.0.2.2"

// Join connects this namespace with the one of a process by a veth pair. It needs ip(8) and nsenter(1). Without the
// limit of one segment, a packet that the kernel splits on the way out of a real interface would count as one.
func Join(ctx context.Context, pid int) error {
	out, err := exec.CommandContext(ctx, "sh", "-ec", `
		ip link add bench0 gso_max_segs 1 type veth peer name bench1 gso_max_segs 1 netns $0
		ip address add 192.0.2.1/30 dev bench0
		ip link set bench0 up
		nsenter --net=/proc/$0/ns/net sh -ec 'ip address add 192.0.2.2/30 dev bench1; ip link set bench1 up'`,
		fmt.Sprint(pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("joining two network namespaces: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Watch calls run and returns the times, since 1970, of the packets that an interface sends meanwhile (packet(7)), up to
// the first 100 ms without one after run has returned. syns are the times of those that ask for a TCP connection over
// IPv4. It is an error if the kernel dropped a packet, since the counts would be too low. Watch requires CAP_NET_RAW.
//
// A counter that is read now and then is not enough: the pacing sends the requests of a second within milliseconds, and
// a window that is one reading too long would include those of the next second.
func Watch(device string, run func()) (sent, syns []time.Duration, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("watching packets of %s: %w", device, err)
		}
	}()
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, nil, err
	}
	const every = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in network order
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(socket)
	if err := errors.Join(
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20), // the kernel may grant less
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
		unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: every, Ifindex: link.Index}),
	); err != nil {
		return nil, nil, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		run()
	}()
	defer func() { <-over }()
	head, control := make([]byte, 128), make([]byte, 256)
	for {
		size, controlSize, _, from, err := unix.Recvmsg(socket, head, control, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) { // 100 ms without a packet
			select {
			case <-over:
				stats, err := unix.GetsockoptTpacketStats(socket, unix.SOL_PACKET, unix.PACKET_STATISTICS)
				if err == nil && stats.Drops > 0 {
					err = fmt.Errorf("%d of %d were dropped", stats.Drops, stats.Packets)
				}
				return sent, syns, err
			default:
				continue
			}
		}
		if err != nil {
			return nil, nil, err
		}
		if link, ok := from.(*unix.SockaddrLinklayer); !ok || link.Pkttype != unix.PACKET_OUTGOING {
			continue
		}
		messages, err := unix.ParseSocketControlMessage(control[:controlSize])
		if err != nil || len(messages) != 1 || len(messages[0].Data) < 16 {
			return nil, nil, errors.New("a packet has no timestamp")
		}
		seconds, nanoseconds := binary.NativeEndian.Uint64(messages[0].Data), binary.NativeEndian.Uint64(messages[0].Data[8:])
		at := time.Duration(seconds)*time.Second + time.Duration(nanoseconds)
		if sent = append(sent, at); isSYN(head[:size]) {
			syns = append(syns, at)
		}
	}
}

// isSYN reports whether a packet is TCP over IPv4 with SYN and without ACK (RFC 791 section 3.1, RFC 9293 section 3.1).
func isSYN(packet []byte) bool {
	const tcp, syn, ack = 6, 0x02, 0x10
	if len(packet) < 20 || packet[0]>>4 != 4 || packet[9] != tcp {
		return false
	}
	flags := int(packet[0]&0xf)*4 + 13
	return flags < len(packet) && packet[flags]&(syn|ack) == syn
}
