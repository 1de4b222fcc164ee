// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/snapshot"
)

// shortNames are names for what people ask for most often, and the keys that they
// stand for. primaryMAC in a key is replaced by the MAC address of the primary
// interface.
var shortNames = map[string]string{
	"account-id":         "identity/accountId",
	"az":                 "placement/availability-zone",
	"az-id":              "placement/availability-zone-id",
	"private-ip":         "local-ipv4",
	"public-ip":          "public-ipv4",
	"region":             "placement/region",
	"security-group-ids": interfaceKey + "security-group-ids",
	"subnet-id":          interfaceKey + "subnet-id",
	"vpc-id":             interfaceKey + "vpc-id",
}

const (
	macKey       = "mac" // its value is the MAC address of the primary interface
	primaryMAC   = "{mac}"
	macsKey      = "network/interfaces/macs"
	interfaceKey = macsKey + "/" + primaryMAC + "/"
	// networkName stands for the file network.json. The directory of this name in
	// the tree is meta-data/network.
	networkName = "network"
)

// lookup returns the JSON of the value of a key or of a short name.
func (p *program) lookup(v *snapshot.Values, name string) (json.RawMessage, error) {
	if name != networkName {
		return v.LookupJSON(resolve(v, name))
	}
	network, err := snapshot.ReadNetwork(p.readDirectory())
	if !errors.Is(err, fs.ErrNotExist) {
		return network, err
	}
	if _, err := v.LookupJSON(macsKey); err != nil {
		return nil, err // with the reason if the interfaces could not be listed
	}
	return nil, &snapshot.KeyError{Key: name}
}

// resolve returns the key that a short name stands for. A name that has a value
// itself, and every other name, is returned unchanged. If the primary interface is
// unknown, the result is the key that says why when it is looked up.
func resolve(v *snapshot.Values, name string) string {
	key, isShort := shortNames[name]
	if _, err := v.LookupJSON(name); err == nil || !isShort {
		return name
	}
	if !strings.Contains(key, primaryMAC) {
		return key
	}
	value, err := v.Lookup(macKey)
	if err != nil {
		return macKey
	}
	mac, _ := value.(string)
	if _, err := net.ParseMAC(mac); err != nil {
		return name
	}
	return strings.Replace(key, primaryMAC, mac, 1)
}

// completeShortNames completes the short names that have a value now.
func (p *program) completeShortNames(v *snapshot.Values, typed string) []cobra.Completion {
	var found []cobra.Completion
	for _, name := range append(slices.Sorted(maps.Keys(shortNames)), networkName) {
		if !strings.HasPrefix(name, typed) {
			continue
		}
		meaning := snapshot.NetworkFile
		if name != networkName {
			meaning = resolve(v, name)
		}
		if _, err := p.lookup(v, name); err == nil && meaning != name { // otherwise it is a key
			found = append(found, cobra.CompletionWithDesc(name, meaning))
		}
	}
	return found
}

// upToVersion matches the part of a URL or its path that ends with the version.
var upToVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(https?://[^/]+/(.*?/)??|/?)(latest|[0-9]{4}-[0-9]{2}-[0-9]{2}|1\.0)/`)
})

// pasted returns the key in an argument that may have been copied from a URL of
// IMDS, such as http://169.254.169.254/latest/meta-data/instance-id or
// /latest/meta-data/instance-id.
func pasted(arg string) string {
	prefix := upToVersion().FindString(arg)
	if prefix == "" {
		return arg
	}
	key := strings.TrimPrefix(arg, prefix)
	if decoded, err := url.PathUnescape(key); err == nil {
		return decoded
	}
	return key
}
