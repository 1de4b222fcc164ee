// SPDX-License-Identifier: Apache-2.0

package mock

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The types of the keys of meta-data.json, as patterns over the path below
// meta-data/: JSON documents and lists of lines. Every other key is a string, as
// served. The patterns are written independently of the daemon's.
var (
	documents = regexp.MustCompile(`^(iam/info|identity-credentials/ec2/info|spot/instance-action|` +
		`events/maintenance/[^/]+|events/recommendations/rebalance)$`)
	lineLists = regexp.MustCompile(`^(security-groups|product-codes|ancestor-ami-ids|` +
		`network/interfaces/macs/[^/]+/(security-groups|security-group-ids|local-ipv4s|public-ipv4s|ipv6s|` +
		`ipv4-prefix|ipv6-prefix|ipv4-associations/[^/]+|[^/]+-cidr-blocks))$`)
	credentials = regexp.MustCompile(`^meta-data/(iam|identity-credentials/[^/]+)/security-credentials(/|$)`)
)

// metaData returns the expected meta-data.json.
func (c *crawler) metaData() map[string]any {
	root := map[string]any{}
	// into returns the object that contains a path, which may have a final slash.
	into := func(path string) (dir map[string]any, name string) {
		dir = root
		segments := strings.Split(strings.TrimPrefix(path, "meta-data/"), "/")
		for _, s := range segments[:len(segments)-1] {
			if dir[s] == nil {
				dir[s] = map[string]any{}
			}
			dir = dir[s].(map[string]any)
		}
		return dir, segments[len(segments)-1]
	}
	for path := range c.lists { // empty directories are included
		if !credentials.MatchString(path) {
			into(path)
		}
	}
	for path, body := range c.leaves {
		if strings.HasPrefix(path, "meta-data/") && !credentials.MatchString(path) {
			dir, name := into(path)
			dir[name] = c.value(strings.TrimPrefix(path, "meta-data/"), body)
		}
	}
	return root
}

// value converts a body to the type of its path.
func (c *crawler) value(below, body string) any {
	switch {
	case documents.MatchString(below):
		return decode(c.t, below, body)
	case lineLists.MatchString(below):
		return split(body)
	default:
		return body
	}
}

// network returns the expected network.json. The mock has one interface.
func (c *crawler) network() map[string]any {
	mac := c.leaves["meta-data/mac"]
	leaf := func(key string) string { return c.leaves["meta-data/network/interfaces/macs/"+mac+"/"+key] }
	number := func(key string) any {
		n, err := strconv.Atoi(leaf(key))
		if err != nil {
			c.t.Fatalf("%s: %v", key, err)
		}
		return json.Number(strconv.Itoa(n))
	}
	return map[string]any{"interfaces": []any{map[string]any{
		"mac": mac, "interface_id": leaf("interface-id"), "subnet_id": leaf("subnet-id"), "vpc_id": leaf("vpc-id"),
		"device_number": number("device-number"), "network_card": number("network-card-index"),
		"subnet_ipv4_cidr": leaf("subnet-ipv4-cidr-block"), "vpc_ipv4_cidrs": split(leaf("vpc-ipv4-cidr-blocks")),
		"local_ipv4s": split(leaf("local-ipv4s")), "public_ipv4s": split(leaf("public-ipv4s")),
		"ipv6s": split(leaf("ipv6s")), "ipv4_prefixes": split(leaf("ipv4-prefix")),
		"ipv6_prefixes": split(leaf("ipv6-prefix")), "subnet_ipv6_cidrs": split(leaf("subnet-ipv6-cidr-blocks")),
		"vpc_ipv6_cidrs": split(leaf("vpc-ipv6-cidr-blocks")), "security_group_ids": split(leaf("security-group-ids")),
	}}}
}

// tags returns the expected tags.json.
func (c *crawler) tags() map[string]any {
	tags := map[string]any{}
	for path, body := range c.leaves {
		if name, ok := strings.CutPrefix(path, "meta-data/tags/instance/"); ok {
			tags[name] = body
		}
	}
	return tags
}

// env returns the expected imds.env.
func (c *crawler) env() string {
	id := decode(c.t, "document", c.leaves["dynamic/instance-identity/document"]).(map[string]any)
	nic := "network/interfaces/macs/" + c.leaves["meta-data/mac"] + "/"
	text := "IMDS_STATE=ready\n"
	for _, v := range [][2]string{
		{"INSTANCE_ID", id["instanceId"].(string)},
		{"INSTANCE_TYPE", id["instanceType"].(string)},
		{"REGION", id["region"].(string)},
		{"AVAILABILITY_ZONE", id["availabilityZone"].(string)},
		{"AVAILABILITY_ZONE_ID", c.leaves["meta-data/placement/availability-zone-id"]},
		{"ACCOUNT_ID", id["accountId"].(string)},
		{"AMI_ID", id["imageId"].(string)},
		{"ARCHITECTURE", id["architecture"].(string)},
		{"HOSTNAME", c.leaves["meta-data/local-hostname"]},
		{"LOCAL_IPV4", c.leaves["meta-data/local-ipv4"]},
		{"PUBLIC_IPV4", c.leaves["meta-data/public-ipv4"]},
		{"IPV6", c.leaves["meta-data/ipv6"]},
		{"MAC", c.leaves["meta-data/mac"]},
		{"VPC_ID", c.leaves["meta-data/"+nic+"vpc-id"]},
		{"SUBNET_ID", c.leaves["meta-data/"+nic+"subnet-id"]},
	} {
		if regexp.MustCompile(`^[A-Za-z0-9._:/@+-]+$`).MatchString(v[1]) {
			text += "IMDS_" + v[0] + "=" + v[1] + "\n"
		}
	}
	return text
}

// paths returns all paths that the daemon may request, each once: the token, everything
// below meta-data/ except credentials, and the paths that the configuration names. They
// have no final slash, because the mock removes it before it writes its log.
func (c *crawler) paths() []string {
	// The daemon also requests the third signature, which the mock does not have.
	paths := []string{"api/token", "dynamic/instance-identity/rsa2048"}
	paths = slices.AppendSeq(paths, maps.Keys(c.leaves))
	paths = slices.AppendSeq(paths, maps.Keys(c.lists))
	paths = slices.DeleteFunc(paths, credentials.MatchString)
	for i := range paths {
		paths[i] = "/latest/" + strings.TrimSuffix(paths[i], "/")
	}
	return slices.Sorted(slices.Values(paths))
}

// split returns the lines of a body. An empty body has no lines.
func split(body string) []any {
	list := []any{}
	for line := range strings.Lines(body) {
		list = append(list, strings.TrimSuffix(line, "\n"))
	}
	return list
}

// decode decodes JSON without changing numbers.
func decode(t *testing.T, name, text string) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	return v
}
