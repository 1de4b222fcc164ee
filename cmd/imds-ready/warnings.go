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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// units are the units that use the configuration, in the order in which a warning names
// them.
var units = []string{"imds-ready", "imds-ready-refresh", "imds-ready-watch"}

// unitUser is User= of the units.
const unitUser = "imds-ready"

// unitAllows is IPAddressAllow= of the units; TestUnitAllows compares them.
var unitAllows = []string{"169.254.169.254", "fd00:ec2::254", "127.0.0.1", "::1"}

// unitHides has the directories that the units hide, by the setting that hides them;
// TestUnitHides compares them. A drop-in with that setting may show them.
var unitHides = map[string][]string{
	"InaccessiblePaths": {"/tmp", "/var/tmp", "/dev/shm", "/boot", "/run/dbus", "/run/lock", "/var/lib/cloud", "/var/log"},
	"ProtectHome":       {"/home", "/root", "/run/user"},
}

// warnings describes settings that are valid but probably not intended. root is the
// root directory, where the unit may have drop-ins.
func warnings(c *config.Config, root fs.FS) []string {
	var all []string
	p := c.Readiness.Policy
	for i, r := range c.Readiness.Require {
		own := fmt.Sprintf("require[%d].", i+1)
		for _, w := range limitWarnings(p, r) {
			all = append(all, at(c, own+"deadline", own+"max_attempts", "retry.deadline", "retry.max_attempts")+w)
		}
	}
	exceeds := func(key string, d time.Duration) {
		if p.Deadline > 0 && d > p.Deadline {
			all = append(all, fmt.Sprintf("%sretry.%s = %v is longer than retry.deadline = %v, which cuts it short",
				at(c, "retry."+key, "retry.deadline"), key, d, p.Deadline))
		}
	}
	exceeds("max_backoff", p.Backoff.Max)
	exceeds("connect_timeout", p.ConnectTimeout)
	if b := p.Backoff; b.Initial > b.Max {
		all = append(all, fmt.Sprintf("%sretry.initial_backoff = %v is longer than retry.max_backoff = %v, so every pause is %v: lower it, or raise max_backoff",
			at(c, "retry.initial_backoff", "retry.max_backoff"), b.Initial, b.Max, b.Max))
	}
	all = append(all, ruleWarnings(c)...)
	all = append(all, metadataWarnings(c)...)
	for _, file := range c.Files {
		all = append(all, modeWarnings(file)...)
	}
	for _, file := range c.Hidden {
		all = append(all, file+" is not read: a drop-in of the same name replaces or removes it")
	}
	for _, file := range c.Ignored {
		all = append(all, file+" is not read: the name of a drop-in ends in .toml and does not begin with a dot")
	}
	for _, e := range c.IMDS.Endpoints {
		all = append(all, endpointWarnings(named(c, "endpoint.url"), e, root)...)
	}
	if c.Readiness.ExplicitEndpoint && at(c, "endpoint.mode") != "" {
		url := settingOf(c, "endpoint.url").Source.File // the variable, if it is one
		if at(c, "endpoint.url") != "" {
			url = "endpoint.url"
		}
		all = append(all, named(c, "endpoint.mode")+" has no effect, because "+url+" is set: remove one of the two")
	}
	return append(all, slices.Concat(textfileWarnings(named(c, "output.textfile"), c.Readiness.Textfile, root),
		disabledWarnings(os.Getenv("AWS_EC2_METADATA_DISABLED")))...)
}

// at returns "FILE:LINE: " for the first of the keys that a file sets, or "".
func at(c *config.Config, keys ...string) string {
	for _, key := range keys {
		if s := settingOf(c, key).Source; s.Line > 0 {
			return s.String() + ": "
		}
	}
	return ""
}

// named returns "FILE:LINE: KEY", the name of the variable that sets the key, or KEY.
func named(c *config.Config, key string) string {
	if s := settingOf(c, key).Source; s.File != "" && s.Line == 0 {
		return s.File
	}
	return at(c, key) + key
}

// metadataWarnings looks for globs that collect or exclude nothing, and for an exclude
// that leaves nothing.
func metadataWarnings(c *config.Config) []string {
	var all []string
	m := c.Readiness.Metadata
	include, exclude := named(c, "metadata.include"), named(c, "metadata.exclude")
	for _, glob := range m.Include {
		if config.OnlyCredentials(glob) {
			all = append(all, fmt.Sprintf("%s: %q matches only credentials, which are never collected: remove it", include, glob))
		} else if why := config.DeadGlob(glob); why != "" {
			all = append(all, include+": "+why)
		}
	}
	for _, glob := range m.Exclude {
		if why := config.DeadGlob(glob); why != "" {
			all = append(all, exclude+": "+why)
		}
	}
	if len(m.Include) > 0 && config.ExcludesAll(m.Include, m.Exclude) {
		all = append(all, exclude+" leaves nothing of metadata.include to collect: narrow it, or write include = []")
	}
	return all
}

// ruleWarnings looks for rules that can decide nothing.
func ruleWarnings(c *config.Config) []string {
	var all []string
	listed := rules(c)
	for i, r := range listed {
		name := fmt.Sprintf("%s: retry.rule[%d]", r.From, i+1)
		if why := config.DeadRuleGlob(r.Path); why != "" {
			all = append(all, name+" decides nothing: "+why)
			continue
		}
		var by []string
		for _, number := range c.Readiness.Policy.HiddenBy(i + 1) {
			by = append(by, fmt.Sprintf("retry.rule[%d] (%s)", number, listed[number-1].From))
		}
		if by != nil {
			all = append(all, name+" decides nothing, because an earlier rule matches first: "+strings.Join(by, ", ")+
				": move it up, or remove it")
		}
	}
	return all
}

// textfileWarnings looks for metrics in a directory to which a unit may not write.
func textfileWarnings(name, textfile string, root fs.FS) []string {
	below := func(dir string) bool {
		return textfile == dir || strings.HasPrefix(textfile, strings.TrimSuffix(dir, "/")+"/")
	}
	if textfile == "" || below(defaultDirectory) {
		return nil
	}
	var lack []string // the units without a drop-in for it
	for _, unit := range units {
		// Below a hidden directory, systemd ignores ReadWritePaths=.
		for key, hidden := range unitHides {
			if i := slices.IndexFunc(hidden, below); i >= 0 && len(unitSettings(root, unit, key)) == 0 {
				return []string{fmt.Sprintf("%s: the unit %s hides %s; choose another directory, such as %s", name, unit, hidden[i], defaultDirectory)}
			}
		}
		if !slices.ContainsFunc(unitValues(root, unit, "ReadWritePaths"), func(dir string) bool { return below(strings.TrimLeft(dir, "-+")) }) {
			lack = append(lack, unit)
		}
	}
	if lack == nil {
		return nil
	}
	dir := filepath.Dir(textfile)
	value := "-" + strings.ReplaceAll(dir, "%", "%%")
	if strings.ContainsAny(value, " \"'\\") {
		value = strconv.Quote(value)
	}
	return []string{fmt.Sprintf("%s: %s may not write to %s: create it, writable for the user %s, and allow it with `systemctl edit %s`:\n"+
		"    [Service]\n    ReadWritePaths=%s", name, unitsText(lack), dir, unitUser, strings.Join(lack, " "), value)}
}

// disabledWarnings is about AWS_EC2_METADATA_DISABLED.
func disabledWarnings(value string) []string {
	const name = "AWS_EC2_METADATA_DISABLED"
	switch strings.ToLower(value) {
	case "", "false":
		return nil
	case "true":
		return []string{name + " is set: run makes no request and skips the gate: unset it to wait for IMDS"}
	}
	return []string{fmt.Sprintf("%s = %q has no effect: only true switches requests off", name, value)}
}

// unitsText returns "the unit a" or "the units a and b".
func unitsText(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return "the unit " + names[0]
	}
	return "the units " + strings.Join(names[:last], ", ") + " and " + names[last]
}

// unitWord is a word of a list in a unit.
var unitWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"(\\.|[^"\\])*"|\S+`)
})

// unitValues returns the words of a list in the drop-ins of a unit.
func unitValues(root fs.FS, unit, key string) []string {
	var all []string
	for _, value := range unitSettings(root, unit, key) {
		for _, word := range unitWord().FindAllString(value, -1) {
			if unquoted, err := strconv.Unquote(word); err == nil {
				word = unquoted
			}
			all = append(all, strings.ReplaceAll(word, "%%", "%"))
		}
	}
	return all
}

// unitSettings returns the values of a setting in the drop-ins of a unit.
func unitSettings(root fs.FS, unit, key string) []string {
	var all []string
	for _, dir := range []string{"usr/lib", "etc", "run"} {
		files, _ := fs.Glob(root, dir+"/systemd/system/"+unit+".service.d/*.conf") // the pattern is valid
		for _, file := range files {
			text, err := fs.ReadFile(root, file)
			if err != nil {
				continue // then it may only be warned about too much
			}
			for line := range strings.Lines(string(text)) {
				if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
					all = append(all, value)
				}
			}
		}
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
	if uid, gids, _ := unitIDs(); mode&0o004 == 0 && !isUnitUser() && denied(file, uid, gids) != "" {
		all = append(all, fmt.Sprintf("%s is not readable by others (mode %04o): "+
			"`runuser -u %s -- imds-ready check` shows whether the unit's user can read it", file, mode, unitUser))
	}
	return all
}

// isUnitUser reports whether the program runs as the user of the unit.
func isUnitUser() bool {
	u, err := user.Current()
	return err == nil && u.Username == unitUser
}

// unitProblems returns a [config.Problems] for the files that the user of the unit
// cannot read, or nil. It is nil if there is no such user yet.
func unitProblems(files []string) error {
	uid, gids, ok := unitIDs()
	if !ok || isUnitUser() {
		return nil
	}
	return deniedProblems(files, uid, gids)
}

func deniedProblems(files []string, uid int, gids []string) error {
	var problems config.Problems
	for _, file := range files {
		if at := denied(file, uid, gids); at != "" {
			problems = append(problems, config.Problem{
				Source: config.Source{File: file},
				Message: fmt.Sprintf("the unit's user %s cannot read it, because of the mode of %s: use 0644 for a file and 0755 for a directory, "+
					"or group %s with 0640 and 0750; `runuser -u %s -- imds-ready check` shows what run reads", unitUser, at, unitUser, unitUser),
			})
		}
	}
	if problems == nil {
		return nil
	}
	return problems
}

// unitIDs returns the user of the unit and its groups, and false if it does not exist.
func unitIDs() (uid int, gids []string, ok bool) {
	u, err := user.Lookup(unitUser)
	if err != nil {
		return -1, nil, false
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return -1, nil, false
	}
	gids, _ = u.GroupIds() // without them, too much seems to be denied
	return uid, gids, true
}

// denied returns the file or the first directory above it whose mode does not let a
// user read the file, or "". It trusts an access control list to allow it.
func denied(file string, uid int, gids []string) string {
	path, err := filepath.EvalSymlinks(file)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return ""
	}
	need := fs.FileMode(0o4)
	for ; ; path, need = filepath.Dir(path), 0o1 {
		info, err := os.Stat(path)
		if err != nil {
			return ""
		}
		mode, owner := info.Mode().Perm(), info.Sys().(*syscall.Stat_t)
		switch {
		case int(owner.Uid) == uid:
			mode >>= 6
		case slices.Contains(gids, strconv.Itoa(int(owner.Gid))):
			mode >>= 3
		}
		if _, err := unix.Getxattr(path, "system.posix_acl_access", nil); err != nil && mode&need == 0 {
			return path
		}
		if path == "/" {
			return ""
		}
	}
}

// endpointWarnings looks for a base path that requests add themselves, and for
// an address that a unit may not talk to.
func endpointWarnings(name, endpoint string, root fs.FS) []string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil
	}
	var all []string
	if base, _, found := strings.Cut(endpoint+"/", "/latest/"); found {
		all = append(all, fmt.Sprintf("%s: requests add /latest/... themselves: write %q", name, base))
	}
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return all
	}
	lack := slices.DeleteFunc(slices.Clone(units), func(unit string) bool {
		return slices.ContainsFunc(append(unitValues(root, unit, "IPAddressAllow"), unitAllows...), func(value string) bool {
			prefix, err := netip.ParsePrefix(value)
			return value == "any" || value == addr.WithZone("").String() || err == nil && prefix.Contains(addr.WithZone(""))
		})
	})
	if len(lack) > 0 {
		all = append(all, fmt.Sprintf("%s: IPAddressAllow= of %s does not include %s, so systemd drops packets to it; "+
			"allow it with `systemctl edit %s`:\n    [Service]\n    IPAddressAllow=%s", name, unitsText(lack), host, strings.Join(lack, " "), host))
	}
	return all
}
