// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// rtfReject marks a route that leads nowhere (linux/route.h); IPv6 always has
// such a default route.
const rtfReject = 0x0200

// isolated returns nil when the network namespace has no default route, as
// procfs shows it: /proc/net/route and /proc/net/ipv6_route (proc_net(5)). What
// cannot be read counts as a route; no ipv6_route at all is a kernel without
// IPv6.
func isolated(procNet string) error {
	v4, err := os.ReadFile(filepath.Join(procNet, "route"))
	if err != nil {
		return fmt.Errorf("looking for a default route: %w", err)
	}
	v6, err := os.ReadFile(filepath.Join(procNet, "ipv6_route"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for a default route: %w", err)
	}
	// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask ...
	_, routes, _ := strings.Cut(string(v4), "\n")
	found, err := hasDefault(routes, 3, func(f []string) bool {
		return len(f) > 7 && f[1] == "00000000" && f[7] == "00000000"
	})
	if err == nil && !found {
		// Destination, its prefix length, source, its length, next hop, metric,
		// counters, flags, device.
		found, err = hasDefault(string(v6), 8, func(f []string) bool {
			return strings.Trim(f[0], "0") == "" && f[1] == "00"
		})
	}
	switch {
	case err != nil:
		return fmt.Errorf("looking for a default route: %w", err)
	case found:
		return errors.New("this network namespace has a default route, so others might take the simulator for the real service: " +
			"listen on 127.0.0.1 or [::1], or run it in a namespace of its own (unshare --net)")
	}
	return nil
}

// hasDefault reports whether a line is a default route and not a reject one;
// flags is the column of the flags, in hexadecimal.
func hasDefault(table string, flags int, isDefault func(fields []string) bool) (bool, error) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) <= flags {
			return false, fmt.Errorf("a route of %d columns: %q", len(f), line)
		}
		bits, err := strconv.ParseUint(f[flags], 16, 64)
		if err != nil {
			return false, fmt.Errorf("reading flags of route %q: %w", line, err)
		}
		if isDefault(f) && bits&rtfReject == 0 {
			return true, nil
		}
	}
	return false, nil
}
