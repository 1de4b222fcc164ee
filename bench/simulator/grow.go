// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// grow adds network interfaces like the default tree's second one, which is
// how an instance comes to hundreds of paths.
func grow(tree imdstest.Tree, interfaces int) imdstest.Tree {
	const model = "meta-data/network/interfaces/macs/06:2f:8e:77:19:b4/"
	grown := tree.Clone()
	for i := range interfaces {
		mac := fmt.Sprintf("06:2f:8e:78:%02x:%02x", i>>8&0xff, i&0xff)
		dir := "meta-data/network/interfaces/macs/" + mac + "/"
		for path, body := range tree {
			below, ok := strings.CutPrefix(path, model)
			if !ok {
				continue
			}
			switch below {
			case "mac":
				body = mac
			case "device-number":
				body = fmt.Sprint(i + 2)
			case "interface-id":
				body = fmt.Sprintf("eni-0a1b2c3d4e6f%05x", i)
			}
			grown[dir+below] = body
		}
	}
	return grown
}
