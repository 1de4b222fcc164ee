// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// firewallAfter is how long a class must last before a local firewall is
// suspected: at boot, a refused connection heals by itself within seconds.
const firewallAfter = 10 * time.Second

// odd401 is how many times a 401 must be repeated before it gets a hint.
const odd401 = 3

// hint says what an operator can do about a failure. It is empty if there is
// nothing to say beyond the error. streak is how long failures of this class
// have lasted, count how many there were, err is the last one.
func (p *progress) hint(f policy.Failure, streak time.Duration, count int, err error) string {
	switch f.Class {
	case policy.Disabled:
		s := "IMDS is disabled for this instance (HttpEndpoint): enable it with " +
			"`aws ec2 modify-instance-metadata-options --http-endpoint enabled`"
		if !p.tolerant {
			s += ", or set ready.on_disabled = \"continue\""
		}
		return s
	case policy.ReadTimeout:
		if f.Token {
			return "TCP connects but the token's answer never arrives: the response hop limit is too small for this " +
				"network path (containers need 2): raise HttpPutResponseHopLimit with `aws ec2 modify-instance-metadata-options`"
		}
	case policy.Blocked:
		return "a prohibit or blackhole route on this host forbids the address, as systemd-imdsd's locked mode sets: " +
			"see `ip rule` and `ip route show table all`"
	case policy.ConnectionRefused, policy.ConnectTimeout:
		if streak >= firewallAfter {
			return "there is an address and a route, so a local firewall may allow IMDS to root only " +
				"(the AWS guide suggests such rules): allow the user imds-ready"
		}
	case policy.Unreachable:
		return "no address or route yet: " + interfaces(p.iface)
	case "401":
		if count >= odd401 {
			return "IMDS does not accept its own token yet"
		}
	case "429":
		return "IMDS throttles this instance: look for a program that asks it in a loop"
	case "404", policy.Empty:
		if f.Required {
			return hint404(f)
		}
	case policy.Mismatch:
		if e, ok := errors.AsType[*retry.MismatchError](err); ok && f.Path == paths.RoleInfo {
			return e.Got + ": look at the role of the instance profile and at its trust policy"
		} else if ok {
			return e.Got + "; it must be " + e.Want
		}
	case policy.BadResponse:
		if f.Path == paths.Roles && f.Headers && !f.Token {
			return "the role's credentials are not there yet: look at the role of the instance profile"
		}
		return "something other than IMDS may answer at this address: a proxy, a captive portal, a simulator"
	}
	return ""
}

// hint404 says what would make a required path appear.
func hint404(f policy.Failure) string {
	switch {
	case f.Token:
		return "there is no token path at this address: is it IMDS? A base path in endpoint.url must end before /latest"
	case strings.HasPrefix(f.Path, "meta-data/iam/"):
		return f.Path + " is not there: it appears when an instance profile with a role is attached"
	case strings.HasPrefix(f.Path, "meta-data/tags/"):
		return f.Path + " is not there: it appears when tags are allowed in the instance's metadata (InstanceMetadataTags)"
	case f.Path == "user-data":
		return "user-data is not there: this instance was started without any"
	default:
		return f.Path + " is not there: if it need not be, remove its [[require]] entry"
	}
}

// interfaces names the network interfaces beside lo and what they lack, and the one
// that endpoint.interface asks for.
func interfaces(wanted string) string {
	if wanted != "" {
		if _, err := net.InterfaceByName(wanted); err != nil {
			return "there is no interface " + wanted + ", which endpoint.interface asks for"
		}
	}
	all, err := net.Interfaces()
	if err != nil {
		return "the network interfaces cannot be listed: " + err.Error()
	}
	var seen []string
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		state := "down"
		if i.Flags&net.FlagUp != 0 {
			state = "up, no address"
			if addrs, err := i.Addrs(); err == nil && len(addrs) > 0 {
				state = "up, " + addrs[0].String()
			}
		}
		seen = append(seen, fmt.Sprintf("%s is %s", i.Name, state))
	}
	if len(seen) == 0 {
		return "this machine has no network interface but lo"
	}
	return strings.Join(seen, "; ")
}
