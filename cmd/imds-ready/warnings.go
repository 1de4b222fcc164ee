// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// unitUser is User= of the unit.
const unitUser = "imds-ready"

// unitAllows is IPAddressAllow= of the unit; TestUnitAllows compares them.
var unitAllows = []string{"169.254.169.254", "fd00:ec2::254", "127.0.0.1", "::1"}

// warnings describes settings that are valid but probably not intended.
func warnings(c *config.Config) []string {
	var all []string
	p := c.Readiness.Policy
	for _, r := range c.Readiness.Require {
		all = append(all, limitWarnings(p, r)...)
	}
	exceeds := func(key string, d time.Duration) {
		if p.Deadline > 0 && d > p.Deadline {
			all = append(all, fmt.Sprintf("retry.%s = %v is longer than retry.deadline = %v, which cuts it short", key, d, p.Deadline))
		}
	}
	exceeds("max_backoff", p.Backoff.Max)
	exceeds("connect_timeout", p.ConnectTimeout)
	for _, file := range c.Files {
		all = append(all, modeWarnings(file)...)
	}
	for _, file := range c.Hidden {
		all = append(all, file+" is not read: a drop-in of the same name replaces or removes it")
	}
	for _, e := range c.IMDS.Endpoints {
		all = append(all, endpointWarnings(e)...)
	}
	return all
}

// limitWarnings compares the limits of the wait for one required path.
func limitWarnings(p policy.Policy, r readiness.Require) []string {
	p.MaxAttempts, p.Deadline = r.MaxAttempts, r.Deadline
	switch {
	case p.Deadline == 0 && p.MaxAttempts == 0:
		return []string{r.Path + `: deadline = "0s" and max_attempts = 0: the gate never gives up, ` +
			"and units ordered after it do not start while IMDS is unavailable"}
	case p.Deadline == 0:
		return []string{fmt.Sprintf(`%s: deadline = "0s" and max_attempts = %d: without a network no attempt is counted, `+
			"so the wait may never end", r.Path, p.MaxAttempts)}
	case p.MaxAttempts == 0:
		return nil
	}
	// A refused connection fails fastest: it takes no time.
	f := policy.Failure{Class: policy.ConnectionRefused, Path: r.Path, Required: true, Token: true}
	last := policy.Step{}
	for s := range p.Timeline(f, 0) {
		if last = s; s.Try == countedTries {
			break
		}
	}
	if errors.Is(last.Stop, policy.ErrDeadline) {
		return []string{fmt.Sprintf("%s: the deadline of %v expires after %d attempts without jitter, so max_attempts = %d is hardly ever reached",
			r.Path, p.Deadline, last.Attempt, p.MaxAttempts)}
	}
	return nil
}

// modeWarnings looks at who can write a file and who can read it.
func modeWarnings(file string) []string {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	var all []string
	mode := info.Mode().Perm()
	if mode&0o022 != 0 {
		all = append(all, fmt.Sprintf("%s may be written by others (mode %04o): chmod go-w %s", file, mode, file))
	}
	if u, err := user.Current(); mode&0o004 == 0 && (err != nil || u.Username != unitUser) {
		all = append(all, fmt.Sprintf("%s is not readable by others (mode %04o): "+
			"`runuser -u %s -- imds-ready check` shows whether the unit's user can read it", file, mode, unitUser))
	}
	return all
}

// endpointWarnings looks for a base path that requests add themselves, and for
// an address that the unit may not talk to.
func endpointWarnings(endpoint string) []string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil
	}
	var all []string
	if strings.HasSuffix(u.Path, "/latest") {
		all = append(all, "endpoint.url: requests add /latest themselves, so they go to "+endpoint+"/latest/...: remove it")
	}
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil && !slices.Contains(unitAllows, addr.WithZone("").String()) {
		all = append(all, fmt.Sprintf("endpoint.url: the unit's IPAddressAllow= does not include %s, so systemd drops packets to it; "+
			"allow it with `systemctl edit imds-ready`:\n    [Service]\n    IPAddressAllow=%s", host, host))
	}
	return all
}
