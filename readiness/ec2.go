// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"io/fs"
	"strings"
)

// Off returns why no request may be made under this configuration on the machine whose
// /sys is sys, or "" if requests may be made. The gate is skipped then, or fails if
// OnNotEC2 is [Fail].
func (c Config) Off(sys fs.FS) (why string) {
	if c.Disabled {
		return "AWS_EC2_METADATA_DISABLED is set"
	}
	if vendor, other := c.notEC2(sys); other {
		return "this machine is not an EC2 instance: its firmware names " + vendor
	}
	return ""
}

// notEC2 reports whether the firmware below sys names another vendor than EC2, and
// which, unless this configuration makes requests anyway.
func (c Config) notEC2(sys fs.FS) (vendor string, other bool) {
	if c.ExplicitEndpoint || c.OnNotEC2 == Try {
		return "", false
	}
	found := detectEC2(sys)
	return found.vendor, !found.ec2
}

// detection is what the firmware says of the machine.
type detection struct {
	// ec2 is false only if the firmware names another vendor. An unknown vendor
	// counts as EC2.
	ec2 bool
	// vendor is the firmware's vendor, for the log.
	vendor string
}

// detectEC2 reads DMI below sys, an os.DirFS("/sys"), without root and without
// network. AWS documents sys_vendor and the hypervisor's uuid ("Detect whether
// a host is an EC2 instance"); *.metal instances and Xen ones differ in which of
// the values they have. product_uuid would say it too, but only root may read it.
func detectEC2(sys fs.FS) detection {
	vendor, uuid := attribute(sys, "class/dmi/id/sys_vendor"), strings.ToLower(attribute(sys, "hypervisor/uuid"))
	switch {
	case vendor == "Amazon EC2",
		attribute(sys, "class/dmi/id/bios_vendor") == "Amazon EC2",
		strings.Contains(attribute(sys, "class/dmi/id/bios_version"), "amazon"),
		strings.HasPrefix(attribute(sys, "class/dmi/id/board_asset_tag"), "i-"),
		strings.HasPrefix(uuid, "ec2"):
		return detection{ec2: true, vendor: vendor}
	}
	// XCP-ng and XenServer are Xen, too; on EC2 the UUID begins with "ec2".
	return detection{ec2: vendor == "" || vendor == "Xen" && uuid == "", vendor: vendor}
}

// attribute is a sysfs attribute's value, or empty if it cannot be read.
func attribute(sys fs.FS, name string) string {
	data, err := fs.ReadFile(sys, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
