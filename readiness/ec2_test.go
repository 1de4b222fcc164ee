// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/imds-ready/imds-ready/readiness"
)

// sysfs returns a file system with attributes, which are named from its root or below
// class/dmi/id.
func sysfs(attributes ...string) fs.FS {
	sys := fstest.MapFS{}
	for _, a := range attributes {
		name, value, _ := strings.Cut(a, "=")
		if !strings.Contains(name, "/") {
			name = "class/dmi/id/" + name
		}
		sys[name] = &fstest.MapFile{Data: []byte(value + "\n")}
	}
	return sys
}

// Off names the reason why nothing is requested after the boot.
func TestOff(t *testing.T) {
	other := sysfs("sys_vendor=QEMU")
	for _, tt := range []struct {
		name   string
		config readiness.Config
		sys    fs.FS
		want   string
	}{
		{"EC2", readiness.Config{}, sysfs("sys_vendor=Amazon EC2"), ""},
		{"not EC2", readiness.Config{}, other, "this machine is not an EC2 instance: its firmware names QEMU"},
		{"not EC2, which fails the gate", readiness.Config{OnNotEC2: readiness.Fail}, other, "this machine is not an EC2 instance: its firmware names QEMU"},
		{"not EC2, but tried", readiness.Config{OnNotEC2: readiness.Try}, other, ""},
		{"an explicit endpoint", readiness.Config{ExplicitEndpoint: true}, other, ""},
		{"disabled", readiness.Config{Disabled: true, ExplicitEndpoint: true}, sysfs(), "AWS_EC2_METADATA_DISABLED is set"},
	} {
		if got := tt.config.Off(tt.sys); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// An unknown machine is treated as EC2 (imds-ready(8)).
func TestDetectEC2(t *testing.T) {
	for _, tt := range []struct {
		name string
		sys  fs.FS
		ec2  bool
	}{
		{"Nitro", sysfs("sys_vendor=Amazon EC2", "bios_vendor=Amazon EC2", "board_asset_tag=i-0123456789abcdef0"), true},
		{"by its firmware", sysfs("sys_vendor=Other", "bios_vendor=Amazon EC2"), true},
		{"Xen HVM", sysfs("sys_vendor=Xen", "bios_vendor=Xen", "bios_version=4.11.amazon"), true},
		{"by its asset tag", sysfs("sys_vendor=Intel", "board_asset_tag=i-0123456789abcdef0"), true},
		{"Xen PV", sysfs("hypervisor/uuid=ec2e1916-9099-7caf-fd21-012345abcdef"), true},
		{"by its hypervisor", sysfs("sys_vendor=Other", "hypervisor/uuid=ec2e1916-9099-7caf-fd21-012345abcdef"), true},
		{"Xen without a UUID", sysfs("sys_vendor=Xen", "bios_vendor=Xen", "bios_version=4.2"), true},
		{"XCP-ng", sysfs("sys_vendor=Xen", "bios_vendor=Xen", "hypervisor/uuid=8c3ee8a8-7cd4-4bbb-bd3d-8e4f2a3ac9a5"), false},
		{"Xen with the UUID in capitals", sysfs("sys_vendor=Xen", "hypervisor/uuid=EC2E1916-9099-7CAF-FD21-012345ABCDEF"), true},
		{"no DMI at all", sysfs(), true},
		{"an empty vendor", sysfs("sys_vendor="), true},
		{"an empty vendor and another's firmware", sysfs("sys_vendor=", "bios_vendor=SeaBIOS"), true},
		{"QEMU", sysfs("sys_vendor=QEMU", "bios_vendor=SeaBIOS", "bios_version=1.16"), false},
		{"an asset tag that only looks like it", sysfs("sys_vendor=Dell Inc.", "board_asset_tag=I-123"), false},
		{"not quite its vendor", sysfs("sys_vendor=Amazon EC2 lookalike"), false},
		{"another hypervisor", sysfs("sys_vendor=HPE", "hypervisor/uuid=00000000-0000-0000-0000-000000000000"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, "")
			tr.sys, tr.config.ExplicitEndpoint = tt.sys, false
			tr.run(t)
			if tr.exit != readiness.ExitOK || (tr.status.State == "ready") != tt.ec2 || (len(tr.sim.Trace()) > 0) != tt.ec2 {
				t.Errorf("exit %d, state %s, %d requests", tr.exit, tr.status.State, len(tr.sim.Trace()))
			}
		})
	}
}

// A skipped run keeps the files of an earlier run of this boot, except for the state.
func TestSkipKeepsTheFiles(t *testing.T) {
	first := faulty(t, "").run(t)
	previous, _ := strings.CutPrefix(first.file(t, "imds.env"), "IMDS_STATE=ready\n")
	next := faulty(t, "")
	next.dir, next.sys, next.config.ExplicitEndpoint = first.dir, vendor("QEMU"), false
	next.run(t)
	if got := next.file(t, "imds.env"); got != "IMDS_STATE=skipped\n"+previous {
		t.Errorf("imds.env:\n%s", got)
	}
	if next.status.Generation != 1 || len(next.status.Files) != len(first.status.Files) {
		t.Errorf("generation %d, files %v", next.status.Generation, next.status.Files)
	}
}
