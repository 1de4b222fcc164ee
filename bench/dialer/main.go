// SPDX-License-Identifier: Apache-2.0

// Command dialer sleeps and dials on the curve of the policy preset boot until it has a connection, and does nothing
// else. It shows the least that waiting for a refused IMDS costs a Go program.
package main

import (
	"flag"
	"net"
	"runtime"
	"time"

	"github.com/imds-ready/imds-ready/policy"
)

func main() {
	address := flag.String("address", "", "host and port to dial")
	flag.Parse()
	runtime.GOMAXPROCS(1) // like imds-ready
	boot, _ := policy.Preset(policy.PresetBoot)
	dialer := net.Dialer{Timeout: boot.ConnectTimeout, KeepAlive: -1}
	for n := 0; ; n++ {
		if conn, err := dialer.Dial("tcp", *address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(boot.Backoff.Delay(n))
	}
}
