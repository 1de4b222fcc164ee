// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lines of the kernel's routing tables.
const (
	v4Header  = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	v4Default = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	v4Subnet  = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	v4Reject  = "*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n"
	v6Zero    = "00000000000000000000000000000000"
	v6Default = v6Zero + " 00 " + v6Zero + " 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n"
	v6Null    = v6Zero + " 00 " + v6Zero + " 00 " + v6Zero + " ffffffff 00000001 00000000 00200200       lo\n"
	v6Subnet  = "fd000000000000000000000000000000 40 " + v6Zero + " 00 " + v6Zero + " 00000100 00000001 00000000 00000001     eth0\n"
)

func TestBeyondLoopback(t *testing.T) {
	for _, tt := range []struct{ name, v4, v6, want string }{
		{"isolated", v4Header + v4Subnet + v4Reject, v6Null + v6Subnet, ""},
		{"empty", v4Header, "", ""},
		{"no IPv6", v4Header, "none", ""},
		{"IPv4 route", v4Header + v4Subnet + v4Default, v6Null, "has a default route"},
		{"IPv6 route", v4Header, v6Subnet + v6Default + v6Null, "unshare --net"},
		{"no IPv4 table", "none", "", "looking for a default route: open "},
		{"short line", v4Header + "eth0\t00000000\n", "", "a route of 2 columns"},
		{"flags", v4Header + "eth0\t00000000\t0\tzz\t0\t0\t0\t00000000\n", "", "flags of route"},
		{"short line of IPv6", v4Header, "x y\n", "a route of 2 columns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(nil)
			s.procNet = t.TempDir()
			for name, text := range map[string]string{"route": tt.v4, "ipv6_route": tt.v6} {
				if text == "none" {
					continue
				}
				if err := os.WriteFile(filepath.Join(s.procNet, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// These addresses are only checked, never bound.
			for _, addr := range []string{"169.254.169.254:80", "10.0.0.1:80", "0.0.0.0:80", "[::]:80", "[fd00:ec2::254]:80"} {
				err := s.mayListen(netip.MustParseAddrPort(addr))
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("%s: %v, want %q", addr, err, tt.want)
				}
			}
			for _, addr := range []string{"127.0.0.1:80", "127.1.2.3:80", "[::1]:80"} {
				if err := s.mayListen(netip.MustParseAddrPort(addr)); err != nil {
					t.Errorf("%s: %v", addr, err)
				}
			}
		})
	}
}

// An IPv4 address in IPv6 notation is an IPv4 address.
func TestParseListenUnmaps(t *testing.T) {
	at, err := parseListen("[::ffff:127.0.0.1]:80")
	if err != nil || at.String() != "127.0.0.1:80" {
		t.Errorf("parseListen = %v, %v", at, err)
	}
}
