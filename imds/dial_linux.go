// SPDX-License-Identifier: Apache-2.0

package imds

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialer is TCP to an IP address: no name is ever looked up. If name is not empty,
// connections are bound to that network interface. Since Linux 5.7 that needs no
// privilege (socket(7), SO_BINDTODEVICE); an interface that does not exist is
// ENODEV.
func dialer(name string) DialFunc {
	d := &net.Dialer{KeepAlive: -1} // the connection lives for one answer
	d.Control = func(_, _ string, c syscall.RawConn) error {
		var bound error
		err := c.Control(func(fd uintptr) {
			// The ACK of the handshake travels with the request: a packet less for each
			// one. Without the option it is a packet of its own (tcp(7), TCP_QUICKACK).
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
			if name != "" {
				bound = os.NewSyscallError("setsockopt", unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, name))
			}
		})
		if err != nil {
			return err
		}
		return bound
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if _, err := netip.ParseAddrPort(addr); err != nil {
			return nil, fmt.Errorf("the endpoint must be an IP address or localhost: %w", err)
		}
		// Not DialTCP: it binds each socket to port 0 of 0.0.0.0 first (Go 1.26).
		return d.DialContext(ctx, network, addr)
	}
}
