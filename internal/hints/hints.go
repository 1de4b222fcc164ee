// SPDX-License-Identifier: Apache-2.0

// Package hints says what an operator can do about a failed attempt.
package hints

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

// Settings are the settings that hints mention only if they help.
type Settings struct {
	Interface string // endpoint.interface
	Tolerant  bool   // on_disabled = "continue"
}

// Streak is how long failures of a class have lasted, and how many there were. The zero
// Streak is a first failure.
type Streak struct {
	Lasted time.Duration
	Count  int
	// Mixed is true if connect-timeout and unreachable alternate, as they do while
	// ARP gets no answer. They count as one class.
	Mixed bool
}

// For says what an operator can do about a failure, whose error is err. It is empty if
// there is nothing to say beyond the error. It states as fact only what is known; the rest
// says "probably".
func (s Settings) For(f policy.Failure, streak Streak, err error) string {
	switch f.Class {
	case policy.Disabled:
		hint := "IMDS is disabled for this instance (HttpEndpoint): enable it with " +
			"`aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled`"
		if !s.Tolerant {
			hint += ", or set ready.on_disabled = \"continue\""
		}
		return hint
	case policy.ReadTimeout:
		if f.Token {
			return "TCP connects, but the answer to the token request does not arrive: probably the response hop limit is too small " +
				"for this network path (containers need 2; raise HttpPutResponseHopLimit with " +
				"`aws ec2 modify-instance-metadata-options --instance-id ID`), or IMDS is slow (raise retry.read_timeout)"
		}
		return "IMDS has granted a token, but this answer does not arrive in time: if that lasts, raise retry.read_timeout"
	case policy.Blocked:
		return "a prohibit or blackhole route on this host forbids the address: see `ip rule` and `ip route show table all`; " +
			"if systemd-imdsd's locked mode has set it, /usr/share/doc/imds-ready/examples/systemd-imdsd.conf lets the gate through"
	case policy.ConnectionRefused, policy.ConnectTimeout:
		if streak.Lasted >= firewallAfter && !streak.Mixed {
			return "there is an address and a route, so probably a local firewall allows IMDS to root only " +
				"(the AWS guide suggests such rules): allow the user imds-ready"
		}
	case policy.Unreachable:
		if !streak.Mixed {
			return "no address or route yet: " + interfaces(s.Interface)
		}
	case policy.ConnectionReset:
		return "the connection ends before the answer is complete: IMDS is probably starting, or something between resets connections"
	case "400", "405", "501":
		if f.Token {
			return "the answer to the token request is not IMDSv2's: probably something else answers at this address; " +
				"a base path in endpoint.url must end before /latest"
		}
	case "401":
		if f.Token {
			return "a token request needs no token, so IMDS does not refuse it with 401: probably a proxy answers at this address"
		}
		if streak.Count >= odd401 {
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
			return e.Got + "; the [[require]] entry of " + f.Path + " waits for " + e.Want
		}
	case policy.BadResponse, policy.TooLarge:
		if f.Class == policy.BadResponse && f.Path == paths.Roles && f.Headers && !f.Token {
			return "the role's credentials are not there yet: look at the role of the instance profile"
		}
		return "probably something other than IMDS answers at this address: a proxy, a captive portal, a simulator"
	}
	if streak.Mixed && streak.Lasted >= firewallAfter {
		return "there is a route, but no host answers on its link: probably a stored host route or a zeroconf route leads to the wrong " +
			"interface: see `ip route get 169.254.169.254`, and set endpoint.interface"
	}
	if strings.HasPrefix(string(f.Class), "5") {
		return "IMDS is there and not ready: this usually ends within seconds; if it lasts, stop and start the instance"
	}
	return ""
}

// Last says where to look after a wait that a failure has ended, if [Settings.For] has no
// hint about it. It is never empty.
func Last(class policy.Class, path string) string {
	switch class {
	case policy.ConnectionRefused, policy.ConnectTimeout, policy.Unreachable:
		return "nothing answers at this address yet: if that lasts, look at endpoint.url, " +
			"and for a local firewall that does not allow the user imds-ready"
	default:
		return fmt.Sprintf("`imds-ready check --explain %s %s` shows what the policy does about it, and `imds-ready probe` tries again", class, path)
	}
}

// hint404 says what would make a required path appear.
func hint404(f policy.Failure) string {
	switch {
	case f.Token:
		return "there is no token path at this address: it may not be IMDSv2; a base path in endpoint.url must end before /latest"
	case strings.HasPrefix(f.Path, "meta-data/iam/"):
		return f.Path + " is not there: it appears when an instance profile with a role is attached"
	case strings.HasPrefix(f.Path, paths.Tags) && f.Path != paths.Tags:
		return f.Path + " is not there: the instance has no such tag, or tags are not allowed in its metadata (InstanceMetadataTags)"
	case strings.HasPrefix(f.Path, "meta-data/tags/"):
		return f.Path + " is not there: it appears when tags are allowed in the instance's metadata (InstanceMetadataTags)"
	case f.Path == paths.Identity:
		return f.Path + " is not there, and imds-ready always requires it: probably something other than IMDS answers at this address"
	case f.Path == paths.UserData:
		return "user-data is not there: this instance was started without user data"
	default:
		return f.Path + " is not there: if it is not needed, remove its [[require]] entry"
	}
}

// interfaces names the network interfaces besides lo and what they lack, and a
// missing one that endpoint.interface names.
func interfaces(wanted string) string {
	if wanted != "" {
		if _, err := net.InterfaceByName(wanted); err != nil {
			return "there is no interface " + wanted + ", which endpoint.interface names"
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

// Unwritable says what may keep the files in a directory from being written.
func Unwritable(dir string) string {
	return "look for a full or read-only file system at " + dir + ", and for files there that are not ours"
}
