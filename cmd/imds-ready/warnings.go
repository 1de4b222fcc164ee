// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// unitUser is whom the unit runs as.
const unitUser = "imds-ready"

// unitAllows is IPAddressAllow= of the unit; a test holds them equal.
var unitAllows = []string{"169.254.169.254", "fd00:ec2::254", "127.0.0.1", "::1"}

// warnings says what is valid and yet may not be meant.
func warnings(c *config.Config) []string {
	var all []string
	p := c.Readiness.Policy
	for _, r := range c.Readiness.Require {
		all = append(all, patienceOf(p, r)...)
	}
	if d := p.Deadline; d > 0 {
		for _, k := range []struct {
			key   string
			value time.Duration
		}{{"max_backoff", p.Backoff.Max}, {"connect_timeout", p.ConnectTimeout}} {
			if k.value > d {
				all = append(all, fmt.Sprintf("retry.%s = %v is longer than retry.deadline = %v, which cuts it", k.key, k.value, d))
			}
		}
	}
	for _, file := range c.Files {
		all = append(all, permissions(file)...)
	}
	for _, file := range c.Hidden {
		all = append(all, file+" is not read: a drop-in of the same name replaces or removes it")
	}
	for _, e := range c.IMDS.Endpoints {
		all = append(all, endpointOf(e)...)
	}
	return all
}

// patienceOf looks at how long one path is waited for.
func patienceOf(p policy.Policy, r readiness.Require) []string {
	p.MaxAttempts, p.Deadline = r.MaxAttempts, r.Deadline
	if p.Deadline == 0 {
		s := fmt.Sprintf("%s: deadline = \"0s\" and max_attempts = %d", r.Path, p.MaxAttempts)
		if p.MaxAttempts == 0 {
			return []string{s + ": a gate that never gives up; what is ordered after it never starts while IMDS is away"}
		}
		return []string{s + ": while the network is not there no attempt is counted, so the wait may never end"}
	}
	if p.MaxAttempts == 0 {
		return nil
	}
	// The fastest failure there is: it costs no time.
	f := policy.Failure{Class: policy.ConnectionRefused, Path: r.Path, Required: true, Token: true}
	last := policy.Step{}
	for s := range p.Timeline(f, 0) {
		if last = s; s.Try == countedSteps {
			break
		}
	}
	if errors.Is(last.Stop, policy.ErrDeadline) {
		return []string{fmt.Sprintf("%s: the deadline of %v comes after %d attempts without jitter, so max_attempts = %d is hardly ever reached",
			r.Path, p.Deadline, last.Attempt, p.MaxAttempts)}
	}
	return nil
}

// permissions looks at who may read and who may write a file.
func permissions(file string) []string {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	var all []string
	if info.Mode()&0o022 != 0 {
		all = append(all, fmt.Sprintf("%s may be written by others (mode %04o): chmod go-w %s", file, info.Mode().Perm(), file))
	}
	if who, ok := findUser(unitUser); ok {
		if place, ok := who.canRead(file); !ok {
			all = append(all, fmt.Sprintf("the user %s cannot read %s: chmod o+r a file, o+x a directory; run would exit with 78", unitUser, place))
		}
	}
	return all
}

// reader is a user, as file modes see one.
type reader struct{ uid, gid uint32 }

// findUser finds a user; false where the package is not installed.
func findUser(name string) (reader, bool) {
	u, err := user.Lookup(name)
	if err != nil {
		return reader{}, false
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return reader{uint32(uid), uint32(gid)}, err1 == nil && err2 == nil
}

// canRead walks from the root to the file and returns the first place where the
// modes stop the user. Access lists are not looked at.
func (r reader) canRead(file string) (place string, ok bool) {
	path, err := filepath.Abs(file)
	if err != nil {
		return "", true
	}
	want := fs.FileMode(0o4)
	for {
		info, err := os.Stat(path)
		if err != nil {
			return "", true
		}
		if !r.may(info, want) {
			return path, false
		}
		if path == "/" {
			return "", true
		}
		path, want = filepath.Dir(path), 0o1
	}
}

func (r reader) may(info fs.FileInfo, want fs.FileMode) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case stat.Uid == r.uid:
		return info.Mode()>>6&want != 0
	case stat.Gid == r.gid:
		return info.Mode()>>3&want != 0
	default:
		return info.Mode()&want != 0
	}
}

// endpointOf looks at a base path that has what requests add, and at whether the
// unit lets them out.
func endpointOf(endpoint string) []string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil
	}
	var all []string
	if strings.HasSuffix(u.Path, "/latest") {
		all = append(all, "endpoint.url: requests add /latest themselves, so they go to "+endpoint+"/latest/...: leave it out")
	}
	return append(all, sandbox(u)...)
}

// sandbox looks at the unit's IPAddressAllow=.
func sandbox(u *url.URL) []string {
	if u.Hostname() == "localhost" {
		return nil
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil || slices.Contains(unitAllows, addr.WithZone("").String()) {
		return nil
	}
	return []string{fmt.Sprintf("endpoint.url: the unit's IPAddressAllow= does not have %s, so under systemd its packets are dropped; "+
		"allow it with `systemctl edit imds-ready`:\n    [Service]\n    IPAddressAllow=%s", u.Hostname(), u.Hostname())}
}
