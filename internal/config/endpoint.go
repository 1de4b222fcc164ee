// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// validURL is the range of endpoint.url and of its environment variable. The
// only name is localhost: there is no resolver this early in a boot, and a
// resolver may itself wait for IMDS.
const validURL = `http:// with an IP address or localhost, optionally a port and a base path, as in "http://127.0.0.1:1338"`

// endpointURL checks a base URL and returns it in its final form: scheme and
// localhost in lower case, no final slash. The empty string means that it is not set.
func endpointURL(raw string) (value, problem string) {
	if raw == "" {
		return "", ""
	}
	if strings.ContainsAny(raw, "?#") {
		return "", "has a query or a fragment"
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", unparsable(raw)
	case u.Scheme == "":
		return "", "has no scheme"
	case u.Scheme != "http":
		return "", "the scheme must be http"
	case u.User != nil:
		return "", "has a user name"
	case u.Host == "":
		return "", "has no host"
	}
	if problem := checkHost(u); problem != "" {
		return "", problem
	}
	if p := strings.TrimRight(u.Path, "/"); p != "" && path.Clean(p) != p {
		return "", `the base path has an empty segment, "." or ".."`
	}
	host := u.Host
	if strings.EqualFold(u.Hostname(), "localhost") {
		host = strings.ToLower(host)
	}
	base := &url.URL{Scheme: "http", Host: host}
	return base.String() + strings.TrimRight(u.EscapedPath(), "/"), ""
}

// unparsable guesses why: an IPv6 address without brackets is the most frequent
// mistake, and a zone without %25 the next.
func unparsable(raw string) string {
	switch {
	case strings.Count(raw, ":") > 2 && !strings.Contains(raw, "["):
		return "not a URL: write an IPv6 address in brackets"
	case strings.Contains(raw, "[") && strings.Contains(raw, "%"):
		return "not a URL: write %25 before the zone of an IPv6 address"
	case strings.Contains(raw, "["):
		return "not a URL: brackets must hold an IPv6 address"
	}
	return "not a URL"
}

func checkHost(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil && !strings.EqualFold(host, "localhost"):
		return "the host must be an IP address or localhost"
	case strings.ContainsFunc(addr.Zone(), notInZone):
		return "the zone must be the name of an interface"
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return "has a colon without a port"
	case port == "":
		return ""
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "the port must be 1 to 65535"
	}
	return ""
}

// notInZone bounds a zone to characters that a URL has unescaped.
func notInZone(r rune) bool {
	const valid = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return !strings.ContainsRune(valid, r)
}

// validInterface is the range of endpoint.interface: that of the kernel without
// unusual characters (IFNAMSIZ in netdevice(7)).
const validInterface = `the name of a network interface, 1 to 15 letters, digits, ".", "_", "-", ":" or "@"; "" for any`

// interfaceName checks the name alone: the interface may appear later.
func interfaceName(name string) (value, problem string) {
	switch {
	case len(name) > 15:
		return "", "must be at most 15 bytes long"
	case name == "." || name == "..":
		return "", "not a name"
	case strings.ContainsFunc(name, func(r rune) bool { return notInZone(r) && r != ':' && r != '@' }):
		return "", "has a character that a name cannot have"
	}
	return name, ""
}
