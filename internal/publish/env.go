// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// envState is the name of the first variable in imds.env.
const envState = "IMDS_STATE"

// variable is one line of imds.env.
type variable struct{ name, value string }

// variables are the lines of imds.env after the first.
type variables []variable

// maxValue is the maximum length of a value in bytes. The longest value of a real instance
// is a host name.
const maxValue = 255

// environment returns all variables; absent ones have an empty value. Each value comes from
// the identity document, which is signed, or, if that does not have it, from the key of
// meta-data with the same meaning. The addresses and the host name exist only in meta-data.
// A value that cannot be used is not replaced with the next candidate.
func environment(identity map[string]any, t *tree) variables {
	id := func(key string) string {
		s, _ := identity[key].(string)
		return s
	}
	md := func(key string) string {
		s, _ := t.text(paths.MetaData + key)
		return s
	}
	mac := md("mac")
	primary := func(key string) string {
		if mac == "" {
			return ""
		}
		s, _ := t.text(paths.Macs + mac + "/" + key)
		return s
	}
	var vars variables
	add := func(name string, candidates ...string) {
		vars = append(vars, variable{name, cmp.Or(candidates...)})
	}
	add("IMDS_INSTANCE_ID", id("instanceId"), md("instance-id"))
	add("IMDS_INSTANCE_TYPE", id("instanceType"), md("instance-type"))
	add("IMDS_REGION", id("region"), md("placement/region"))
	add("IMDS_AVAILABILITY_ZONE", id("availabilityZone"), md("placement/availability-zone"))
	add("IMDS_AVAILABILITY_ZONE_ID", md("placement/availability-zone-id"))
	add("IMDS_ACCOUNT_ID", id("accountId"))
	add("IMDS_AMI_ID", id("imageId"), md("ami-id"))
	add("IMDS_ARCHITECTURE", id("architecture"))
	add("IMDS_HOSTNAME", md("local-hostname"))
	add("IMDS_LOCAL_IPV4", md("local-ipv4"))
	add("IMDS_PUBLIC_IPV4", md("public-ipv4"))
	add("IMDS_IPV6", md("ipv6"))
	add("IMDS_MAC", mac)
	add("IMDS_VPC_ID", primary("vpc-id"))
	add("IMDS_SUBNET_ID", primary("subnet-id"))
	return vars
}

// isPlain reports whether systemd, a shell and docker --env-file read the unquoted value
// alike, because it matches [A-Za-z0-9._:/@+-]+.
func isPlain(value string) bool {
	for i := range len(value) {
		c := value[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._:/@+-", c) >= 0:
		default:
			return false
		}
	}
	return value != ""
}

// isSafe reports whether a plain value has at most 255 bytes and begins with a letter, a
// digit or a slash, so that no program mistakes it for an option.
func isSafe(value string) bool {
	return len(value) <= maxValue && strings.IndexByte("._:@+-", value[0]) < 0
}

// usable reports whether a variable can be in imds.env.
func (v variable) usable() bool { return isPlain(v.value) && isSafe(v.value) }

// value returns the value of a variable, or "" if it cannot be used.
func (vars variables) value(name string) string {
	for _, v := range vars {
		if v.name == name && v.usable() {
			return v.value
		}
	}
	return ""
}

func (vars variables) lines() []string {
	var list []string
	for _, v := range vars {
		if v.usable() {
			list = append(list, v.name+"="+v.value)
		}
	}
	return list
}

// omitted returns the names of the variables whose value is plain but not safe. A real
// instance does not have such a value.
func (vars variables) omitted() []string {
	var names []string
	for _, v := range vars {
		if isPlain(v.value) && !isSafe(v.value) {
			names = append(names, v.name)
		}
	}
	return names
}

// envFile returns imds.env, which consists of the state and the lines.
func envFile(state string, lines []string) File {
	return File{Data: []byte(strings.Join(append([]string{envState + "=" + state}, lines...), "\n") + "\n")}
}

// knownLines returns the lines of an imds.env, except that of the state, that this package
// could have written. Other lines are dropped, because units read the file as root.
func knownLines(data []byte) []string {
	var kept []string
	known := environment(nil, &tree{})
	for _, line := range strings.Split(string(data), "\n") {
		name, value, _ := strings.Cut(line, "=")
		isKnown := slices.ContainsFunc(known, func(v variable) bool { return v.name == name })
		if isKnown && (variable{name, value}).usable() {
			kept = append(kept, line)
		}
	}
	return kept
}
