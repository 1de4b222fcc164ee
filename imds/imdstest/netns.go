// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// rtfReject marks a route that leads nowhere (linux/route.h). IPv6 always has
// such a default route.
const rtfReject = 0x0200

// isolated returns nil if the network namespace has no default route according to
// /proc/net/route and /proc/net/ipv6_route (proc_net(5)). A table that cannot be
// read is an error, except that a kernel without IPv6 has no ipv6_route.
func isolated(procNet string) error {
	// Iface Destination Gateway Flags RefCnt Use Metric Mask ...
	v4, err := hasDefault(filepath.Join(procNet, "route"), 3, func(f []string) bool {
		return len(f) > 7 && f[1] == "00000000" && f[7] == "00000000"
	})
	// Destination, its prefix length, source, its prefix length, next hop,
	// metric, two counters, flags, device.
	v6, err6 := hasDefault(filepath.Join(procNet, "ipv6_route"), 8, func(f []string) bool {
		return strings.Trim(f[0], "0") == "" && f[1] == "00"
	})
	if errors.Is(err6, fs.ErrNotExist) {
		err6 = nil
	}
	if err = cmp.Or(err, err6); err != nil {
		return fmt.Errorf("looking for a default route: %w", err)
	}
	if v4 || v6 {
		return errors.New("this network namespace has a default route, so others might mistake the simulator for the real service: " +
			"listen on 127.0.0.1 or [::1], or use a namespace of its own (unshare --net)")
	}
	return nil
}

// hasDefault reports whether a table has a default route that is not a reject
// route. flags is the column of the flags, which are hexadecimal.
func hasDefault(file string, flags int, isDefault func(fields []string) bool) (bool, error) {
	table, err := os.ReadFile(file)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "Iface" {
			continue
		}
		if len(f) <= flags {
			return false, fmt.Errorf("reading %s: a route of %d columns: %q", file, len(f), line)
		}
		bits, err := strconv.ParseUint(f[flags], 16, 64)
		if err != nil {
			return false, fmt.Errorf("reading %s: flags of route %q: %w", file, line, err)
		}
		if isDefault(f) && bits&rtfReject == 0 {
			return true, nil
		}
	}
	return false, err
}
