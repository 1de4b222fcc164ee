// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// interfaces builds from leaves below macs/ and reads network.json back.
func interfaces(t *testing.T, in map[string]string) ([]networkInterface, []Problem) {
	t.Helper()
	bodies := map[string]string{}
	for path, body := range in { // "a/mac" is below the MAC address that ends in the code of the letter
		bodies[fmt.Sprintf("network/interfaces/macs/02:00:00:00:00:%02x%s", path[0], path[1:])] = body
	}
	out, problems := files(t, metaData(bodies))
	var file networkFile
	if err := json.Unmarshal(out[snapshot.NetworkFile].Data, &file); err != nil {
		t.Fatalf("%v: %s", err, out[snapshot.NetworkFile].Data)
	}
	return file.Interfaces, problems
}

func TestInterfaceKeys(t *testing.T) {
	out, problems := files(t, metaData(map[string]string{macDir + "owner-id": "1"}))
	want := `{
  "interfaces": [
    {
      "device_number": null,
      "interface_id": null,
      "ipv4_prefixes": [],
      "ipv6_prefixes": [],
      "ipv6s": [],
      "local_ipv4s": [],
      "mac": "02:00:00:00:00:01",
      "network_card": 0,
      "public_ipv4s": [],
      "security_group_ids": [],
      "subnet_id": null,
      "subnet_ipv4_cidr": null,
      "subnet_ipv6_cidrs": [],
      "vpc_id": null,
      "vpc_ipv4_cidrs": [],
      "vpc_ipv6_cidrs": []
    }
  ]
}
`
	if got := string(out[snapshot.NetworkFile].Data); got != want || len(problems) != 0 {
		t.Errorf("an interface without leaves: %s %v, want %s", got, problems, want)
	}
	out, problems = files(t, metaData(map[string]string{
		macDir + "device-number": "2", macDir + "network-card": "3", macDir + "interface-id": "eni-1",
		macDir + "ipv4-prefix": "a\nb", macDir + "ipv6-prefix": "c", macDir + "ipv6s": "d\ne",
		macDir + "local-ipv4s": "f", macDir + "public-ipv4s": "", macDir + "security-group-ids": "g\nh",
		macDir + "subnet-id": "", macDir + "subnet-ipv4-cidr-block": "i", macDir + "vpc-id": "j",
		macDir + "vpc-ipv4-cidr-blocks": "k\nl", macDir + "vpc-ipv4-cidr-block": "not this one",
		macDir + "subnet-ipv6-cidr-blocks": "m", macDir + "vpc-ipv6-cidr-blocks": "n\no",
	}))
	want = `{"interfaces":[{"device_number":2,"interface_id":"eni-1","ipv4_prefixes":["a","b"],` +
		`"ipv6_prefixes":["c"],"ipv6s":["d","e"],"local_ipv4s":["f"],"mac":"02:00:00:00:00:01","network_card":3,` +
		`"public_ipv4s":[],"security_group_ids":["g","h"],"subnet_id":"","subnet_ipv4_cidr":"i","subnet_ipv6_cidrs":["m"],"vpc_id":"j",` +
		`"vpc_ipv4_cidrs":["k","l"],"vpc_ipv6_cidrs":["n","o"]}]}`
	if got := compact(t, out[snapshot.NetworkFile]); got != want || len(problems) != 0 {
		t.Errorf("an interface with all leaves: %s %v, want %s", got, problems, want)
	}
}

func TestInterfaceOrder(t *testing.T) {
	list, problems := interfaces(t, map[string]string{
		"a/device-number": "10", "b/device-number": "9",
		"c/device-number": "0", "c/network-card": "1",
		"d/device-number": "1", "d/network-card": "0",
		"e/device-number": "0", "e/network-card-index": "0",
		"f/mac":           "", // no device number
		"g/device-number": "x",
		"h/device-number": "0", "h/network-card": "?",
		"i/device-number": "9",
		"j/":              "", // listed, but without leaves
		"k":               "not a directory",
	})
	var order []string
	for _, i := range list {
		var letter byte
		if _, err := fmt.Sscanf(i.MAC, "02:00:00:00:00:%02x", &letter); err != nil {
			t.Fatal(err)
		}
		order = append(order, string(letter))
	}
	if got, want := strings.Join(order, " "), "e d c h b i a f g j"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	want := "meta-data/network/interfaces/macs/02:00:00:00:00:67/device-number bad-response, " +
		"meta-data/network/interfaces/macs/02:00:00:00:00:68/network-card bad-response"
	if problemText(problems) != want {
		t.Errorf("problems %s, want %s", problemText(problems), want)
	}
}

// The primary interface is first, regardless of the device numbers. Every listed interface
// has an entry, with null for the values that could not be fetched.
func TestInterfaceThatFailed(t *testing.T) {
	const a, b, c = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
	snap, _ := Build(Collection{
		Leaves: leaves(map[string]string{
			"meta-data/mac": c, paths.Macs + a + "/device-number": "0", paths.Macs + a + "/network-card": "0",
			paths.Macs + b + "/device-number": "0", paths.Macs + b + "/local-ipv4s": "10.0.0.1", paths.Macs + "not-a-mac/device-number": "0",
		}),
		Missing: map[string]string{paths.Macs + b + "/network-card": "503", paths.Macs + b + "/ipv6s": "503", paths.Macs + c + "/": "503"},
	})
	var file networkFile
	if err := json.Unmarshal(snap.files[snapshot.NetworkFile].Data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Interfaces) != 3 || file.Interfaces[0].MAC != c || file.Interfaces[1].MAC != a || file.Interfaces[2].MAC != b {
		t.Fatalf("interfaces %+v, want %s, %s, %s", file.Interfaces, c, a, b)
	}
	if i := file.Interfaces[0]; i.NetworkCard != nil || i.SubnetID != nil || i.LocalIPv4s != nil || i.DeviceNumber != nil {
		t.Errorf("an interface that could not be read: %+v", i)
	}
	if i := file.Interfaces[2]; i.NetworkCard != nil || i.IPv6s != nil || len(i.LocalIPv4s) != 1 || i.PublicIPv4s == nil {
		t.Errorf("an interface of which two values failed: %+v", i)
	}
	schematest.Check(t, snapshot.NetworkFile, snap.files[snapshot.NetworkFile].Data)
}

func TestInterfaceNumbers(t *testing.T) {
	tests := []struct{ body, want string }{
		{"0", "0"},
		{"15", "15"},
		{"007", "7"},
		{"3\n", "3"},
		{"2147483647", "2147483647"},
		{"2147483648", ""},
		{"-1", ""},
		{"+1", ""},
		{"1.0", ""},
		{"0x1", ""},
		{"1_0", ""},
		{" 1", ""},
		{"", ""},
		{"one", ""},
		{"\u0661", ""},
	}
	for _, tt := range tests {
		for _, name := range []string{"device-number", "network-card", "network-card-index"} {
			t.Run(fmt.Sprintf("%s %q", name, tt.body), func(t *testing.T) {
				list, problems := interfaces(t, map[string]string{"m/" + name: tt.body})
				got := list[0].NetworkCard
				if name == "device-number" {
					got = list[0].DeviceNumber
				}
				if tt.want == "" {
					if got != nil || len(problems) != 1 || problems[0].Class != classBadResponse {
						t.Errorf("%v, problems %v, want null and one problem", got, problems)
					}
					return
				}
				if got == nil || fmt.Sprint(*got) != tt.want || len(problems) != 0 {
					t.Errorf("%v, problems %v, want %s", got, problems, tt.want)
				}
			})
		}
	}
}

// The current name of the index of the card has precedence, even if its value is invalid.
func TestNetworkCardNames(t *testing.T) {
	list, _ := interfaces(t, map[string]string{"m/network-card": "2", "m/network-card-index": "1"})
	if got := list[0].NetworkCard; got == nil || *got != 2 {
		t.Errorf("card %v, want 2", got)
	}
	list, problems := interfaces(t, map[string]string{"m/network-card": "\xff", "m/network-card-index": "1"})
	if got := list[0].NetworkCard; got != nil || problems[0].Class != classNotUTF8 {
		t.Errorf("card %v %v, want null", got, problems)
	}
}
