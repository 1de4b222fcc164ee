// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// networkFile is the content of network.json.
type networkFile struct {
	Interfaces []networkInterface `json:"interfaces"`
}

// networkInterface is one interface. Every key is always present. A value is null if it
// could not be fetched or is invalid, and null or [] if IMDS does not have it.
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
	SubnetIPv6CIDRs  []string `json:"subnet_ipv6_cidrs"`
	VPCID            *string  `json:"vpc_id"`
	VPCIPv4CIDRs     []string `json:"vpc_ipv4_cidrs"`
	VPCIPv6CIDRs     []string `json:"vpc_ipv6_cidrs"`
}

// macAddress matches the name of an interface in IMDS.
var macAddress = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$`)
})

// network returns the interfaces of t. It returns false if no interface has a leaf and none
// is missing. A listed interface has an entry even if none of its values could be fetched.
// The first entry is the primary interface, that of meta-data/mac. The device number alone
// does not identify it, because a new interface can also report 0 for a while.
func (b *builder) network(t *tree) (networkFile, bool) {
	dir, _ := t.dir(paths.Macs)
	macs := map[string]bool{}
	found := false
	for mac := range dir {
		if leaves, isDir := t.dir(paths.Macs + mac); isDir && macAddress().MatchString(mac) {
			macs[mac] = true
			found = found || len(leaves) > 0
		}
	}
	for path := range b.missing {
		rest, below := strings.CutPrefix(path, paths.Macs)
		if mac, _, ok := strings.Cut(rest, "/"); below && ok && macAddress().MatchString(mac) {
			macs[mac], found = true, true
		}
	}
	file := networkFile{Interfaces: []networkInterface{}}
	cards := b.servesCards(t, macs)
	for _, mac := range slices.Sorted(maps.Keys(macs)) {
		file.Interfaces = append(file.Interfaces, b.networkInterface(t, mac, cards))
	}
	primary, _ := t.text(paths.MetaData + "mac")
	first := func(i networkInterface) int {
		if i.MAC == primary {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(file.Interfaces, func(x, y networkInterface) int {
		return cmp.Or(
			cmp.Compare(first(x), first(y)),
			compareKnown(x.NetworkCard, y.NetworkCard),
			compareKnown(x.DeviceNumber, y.DeviceNumber),
		) // otherwise they stay sorted by MAC address
	})
	return file, found
}

// compareKnown sorts unknown numbers last.
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

// networkInterface returns the interface with one MAC address.
func (b *builder) networkInterface(t *tree, mac string, cards bool) networkInterface {
	dir := paths.Macs + mac + "/"
	str := func(name string) *string {
		if s, ok := t.text(dir + name); ok {
			return &s
		}
		return nil
	}
	list := func(name string) []string {
		if l, ok := t.node(dir + name).([]string); ok {
			return l
		}
		if b.failed(dir + name) {
			return nil
		}
		return []string{}
	}
	i := networkInterface{
		DeviceNumber:     b.number(t, dir+"device-number"),
		InterfaceID:      str("interface-id"),
		IPv4Prefixes:     list("ipv4-prefix"),
		IPv6Prefixes:     list("ipv6-prefix"),
		IPv6s:            list("ipv6s"),
		LocalIPv4s:       list("local-ipv4s"),
		MAC:              mac,
		PublicIPv4s:      list("public-ipv4s"),
		SecurityGroupIDs: list("security-group-ids"),
		SubnetID:         str("subnet-id"),
		SubnetIPv4CIDR:   str("subnet-ipv4-cidr-block"),
		SubnetIPv6CIDRs:  list("subnet-ipv6-cidr-blocks"),
		VPCID:            str("vpc-id"),
		VPCIPv4CIDRs:     list("vpc-ipv4-cidr-blocks"),
		VPCIPv6CIDRs:     list("vpc-ipv6-cidr-blocks"),
	}
	if !cards {
		i.NetworkCard = new(0)
	}
	for _, name := range cardKeys {
		if t.node(dir+name) != nil || b.failed(dir+name) {
			i.NetworkCard = b.number(t, dir+name)
			break
		}
	}
	return i
}

// cardKeys are the keys of the index of the network card, the current one first. The User
// Guide used to call it network-card-index.
var cardKeys = []string{"network-card", "network-card-index"}

// servesCards reports whether an interface has the index of its network card, or could
// have it because the request failed. Instance types with one card, whose index is 0, do not
// serve the index at all (amazon-ec2-net-utils, lib/lib.sh).
func (b *builder) servesCards(t *tree, macs map[string]bool) bool {
	for mac := range macs {
		for _, key := range cardKeys {
			path := paths.Macs + mac + "/" + key
			if t.node(path) != nil || b.failed(path) {
				return true
			}
		}
	}
	return false
}

// failed reports whether a path or a directory above it is missing and does not have its
// previous value.
func (b *builder) failed(path string) bool {
	for ; path != ""; path = path[:max(0, strings.LastIndexByte(path, '/'))] {
		for _, at := range []string{path, path + "/"} {
			if _, missing := b.missing[at]; missing && !b.restored[at] {
				return true
			}
		}
	}
	return false
}

// number returns the nonnegative integer at path, or nil if it is absent or invalid.
func (b *builder) number(t *tree, path string) *int {
	s, ok := t.text(path)
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
