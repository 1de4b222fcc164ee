// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// envState is the first line's name in imds.env.
const envState = "IMDS_STATE"

// variable is one line of imds.env.
type variable struct{ name, value string }

// variables are the lines of imds.env below the first.
type variables []variable

// environment takes each variable from the identity document, which is signed,
// else from the key of meta-data that says the same; the addresses and the host
// name are those of meta-data alone. A value that is not plain is left out: no other
// one takes its place.
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
		if value := cmp.Or(candidates...); isPlain(value) {
			vars = append(vars, variable{name, value})
		}
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

// isPlain reports whether value means the same, unquoted, to systemd, to a shell
// and to docker --env-file: it matches [A-Za-z0-9._:/@+-]+.
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

// value is the value of a variable, "" when it is not there.
func (vars variables) value(name string) string {
	for _, v := range vars {
		if v.name == name {
			return v.value
		}
	}
	return ""
}

func (vars variables) lines() []string {
	list := make([]string, 0, len(vars))
	for _, v := range vars {
		list = append(list, v.name+"="+v.value)
	}
	return list
}

// envFile is imds.env: the state, then the lines.
func envFile(state string, lines []string) File {
	var buf bytes.Buffer
	buf.WriteString(envState + "=" + state + "\n")
	for _, line := range lines {
		buf.WriteString(line + "\n")
	}
	return File{Data: buf.Bytes()}
}

// otherLines are the lines of an imds.env but the state's.
func otherLines(data []byte) []string {
	var kept []string
	for _, line := range lines(string(data)) {
		if !strings.HasPrefix(line, envState+"=") {
			kept = append(kept, line)
		}
	}
	return kept
}
