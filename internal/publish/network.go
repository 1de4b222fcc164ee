// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// networkFile is network.json.
type networkFile struct {
	Interfaces []networkInterface `json:"interfaces"`
}

// networkInterface is one interface. Every key is always there; null where IMDS
// has no value, as for the IPv4 subnet of an interface that has IPv6 only.
type networkInterface struct {
	DeviceNumber     *int     `json:"device_number"`
	InterfaceID      *string  `json:"interface_id"`
	IPv4Prefixes     []string `json:"ipv4_prefixes"`
	IPv6Prefixes     []string `json:"ipv6_prefixes"`
	IPv6s            []string `json:"ipv6s"`
	LocalIPv4s       []string `json:"local_ipv4s"`
	MAC              string   `json:"mac"`
	NetworkCard      *int     `json:"network_card"`
	PublicIPv4s      []string `json:"public_ipv4s"`
	SecurityGroupIDs []string `json:"security_group_ids"`
	SubnetID         *string  `json:"subnet_id"`
	SubnetIPv4CIDR   *string  `json:"subnet_ipv4_cidr"`
	VPCID            *string  `json:"vpc_id"`
	VPCIPv4CIDRs     []string `json:"vpc_ipv4_cidrs"`
}

// network lists the interfaces of t; false when no interface has a leaf.
func (b *builder) network(t *tree) (networkFile, bool) {
	macs, _ := t.dir(paths.Macs)
	file := networkFile{Interfaces: []networkInterface{}}
	found := false
	for _, mac := range slices.Sorted(maps.Keys(macs)) {
		dir, isDir := t.dir(paths.Macs + mac)
		if !isDir {
			continue
		}
		found = found || len(dir) > 0
		file.Interfaces = append(file.Interfaces, b.networkInterface(t, mac))
	}
	slices.SortStableFunc(file.Interfaces, func(x, y networkInterface) int {
		return cmp.Or(
			compareKnown(x.NetworkCard, y.NetworkCard),
			compareKnown(x.DeviceNumber, y.DeviceNumber),
		) // then by MAC, as they came
	})
	return file, found
}

// compareKnown sorts what is not known last.
func compareKnown(x, y *int) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	return cmp.Compare(*x, *y)
}

// networkInterface reads the leaves below one MAC address.
func (b *builder) networkInterface(t *tree, mac string) networkInterface {
	dir := paths.Macs + mac + "/"
	str := func(name string) *string {
		if s, ok := t.text[dir+name]; ok {
			return &s
		}
		return nil
	}
	list := func(name string) []string { return lines(t.text[dir+name]) }
	return networkInterface{
		DeviceNumber:     b.number(t, dir+"device-number"),
		InterfaceID:      str("interface-id"),
		IPv4Prefixes:     list("ipv4-prefix"),
		IPv6Prefixes:     list("ipv6-prefix"),
		IPv6s:            list("ipv6s"),
		LocalIPv4s:       list("local-ipv4s"),
		MAC:              mac,
		NetworkCard:      b.networkCard(t, dir),
		PublicIPv4s:      list("public-ipv4s"),
		SecurityGroupIDs: list("security-group-ids"),
		SubnetID:         str("subnet-id"),
		SubnetIPv4CIDR:   str("subnet-ipv4-cidr-block"),
		VPCID:            str("vpc-id"),
		VPCIPv4CIDRs:     list("vpc-ipv4-cidr-blocks"),
	}
}

// networkCard is the index of the network card. The User Guide calls the key
// network-card, before that network-card-index. Instance types with one card,
// which is card 0, do not serve it at all (amazon-ec2-net-utils, lib/lib.sh).
func (b *builder) networkCard(t *tree, dir string) *int {
	for _, name := range []string{"network-card", "network-card-index"} {
		if _, served := b.leaves[dir+name]; served {
			return b.number(t, dir+name)
		}
	}
	return new(0)
}

// number is the integer at path, 0 or more; nil when it is not there or not one.
func (b *builder) number(t *tree, path string) *int {
	s, ok := t.text[path]
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(s, "\n"), 10, 31)
	if err != nil {
		b.problem(path, classBadResponse)
		return nil
	}
	return new(int(n))
}
