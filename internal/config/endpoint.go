// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// legalURL is the range of endpoint.url and of its environment variable. No
// name but localhost: there is no resolver this early in a boot, and a
// resolver may itself wait for IMDS.
const legalURL = `http://, an IP literal or localhost, perhaps a port and a base path, as in "http://127.0.0.1:1338"`

// endpointURL checks a base URL and returns it in its final form: scheme and
// localhost in lower case, no final slash. The empty string is legal: not set.
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
		return "", "IMDS speaks http only"
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

// unparsable guesses why: an IPv6 literal without brackets is the usual
// mistake, a zone without %25 the next.
func unparsable(raw string) string {
	switch {
	case strings.Count(raw, ":") > 2 && !strings.Contains(raw, "["):
		return "not a URL: an IPv6 literal stands in brackets"
	case strings.Contains(raw, "[") && strings.Contains(raw, "%"):
		return "not a URL: the zone of an IPv6 literal begins with %25"
	case strings.Contains(raw, "["):
		return "not a URL: brackets hold an IPv6 literal"
	}
	return "not a URL"
}

func checkHost(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil && !strings.EqualFold(host, "localhost"):
		return "the host is not an IP literal"
	case strings.ContainsFunc(addr.Zone(), notInZone):
		return "the zone is not the name of an interface"
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return "a colon without a port"
	case port == "":
		return ""
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "the port is not in 1 to 65535"
	}
	return ""
}

// notInZone bounds a zone to what stands in a URL as it is.
func notInZone(r rune) bool {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return !strings.ContainsRune(legal, r)
}

// legalInterface is the range of endpoint.interface: the kernel's, less what no
// name in use has (IFNAMSIZ in netdevice(7)).
const legalInterface = `the name of a network interface, 1 to 15 letters, digits, ".", "_", "-", ":" or "@", or "" for any`

// interfaceName checks the name alone: the interface may appear later.
func interfaceName(name string) (value, problem string) {
	switch {
	case len(name) > 15:
		return "", "longer than 15 bytes"
	case name == "." || name == "..":
		return "", "not a name"
	case strings.ContainsFunc(name, func(r rune) bool { return notInZone(r) && r != ':' && r != '@' }):
		return "", "a character that a name does not have"
	}
	return name, ""
}
