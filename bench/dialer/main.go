// SPDX-License-Identifier: Apache-2.0

// Command dialer sleeps and dials, on the curve of the preset boot, and does
// nothing else until it has a connection: what a wait for a refused IMDS costs a
// Go program at the least. What imds-ready takes more is for the rest of what it
// does: telling systemd, status.json, the log.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

func main() {
	address := flag.String("address", "", "host and port to dial")
	flag.Parse()
	runtime.GOMAXPROCS(1) // as imds-ready has it
	if err := dial(context.Background(), *address); err != nil {
		fmt.Fprintf(os.Stderr, "dialer: %v\n", err)
		os.Exit(1)
	}
}

func dial(ctx context.Context, address string) error {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return err
	}
	boot, _ := policy.Preset("boot")
	d := net.Dialer{Timeout: boot.ConnectTimeout, KeepAlive: -1}
	for n := 0; ; n++ {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		pause := time.NewTimer(boot.Backoff.Delay(n))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}
