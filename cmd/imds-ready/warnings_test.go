// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

func TestUnitAllows(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/imds-ready.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"User=" + unitUser, "IPAddressAllow=" + strings.Join(unitAllows, " ")} {
		if !strings.Contains(string(unit), "\n"+want+"\n") {
			t.Errorf("the unit does not contain %s", want)
		}
	}
}
