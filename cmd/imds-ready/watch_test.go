// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/imds-ready/imds-ready/readiness"
)

// refresh and watch make no request where the gate makes none, even if it has not run.
func TestOff(t *testing.T) {
	sys := func(vendor string) fstest.MapFS {
		return fstest.MapFS{"class/dmi/id/sys_vendor": {Data: []byte(vendor + "\n")}}
	}
	for _, tt := range []struct {
		name   string
		config readiness.Config
		vendor string
		want   string
	}{
		{"an EC2 instance", readiness.Config{OnNotEC2: readiness.Skip}, "Amazon EC2", ""},
		{"another machine", readiness.Config{OnNotEC2: readiness.Skip}, "QEMU", "this machine is not an EC2 instance: its firmware names QEMU"},
		{"another machine that fails", readiness.Config{OnNotEC2: readiness.Fail}, "QEMU", "this machine is not an EC2 instance: its firmware names QEMU"},
		{"another machine that tries", readiness.Config{OnNotEC2: readiness.Try}, "QEMU", ""},
		{"an endpoint", readiness.Config{OnNotEC2: readiness.Skip, ExplicitEndpoint: true}, "QEMU", ""},
		{"AWS_EC2_METADATA_DISABLED", readiness.Config{Disabled: true}, "Amazon EC2", "AWS_EC2_METADATA_DISABLED is set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &program{directory: t.TempDir()}
			if why := p.off(t.Context(), tt.config, sys(tt.vendor), p.directory); why != tt.want {
				t.Errorf("%q, want %q", why, tt.want)
			}
		})
	}
}

// The hint of a watch that cannot write is about the file system if that is full or
// read-only, and else about the user.
func TestWatchFailure(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "look for a full or read-only file system at /d", syscall.EDQUOT: "look for a full",
		syscall.EROFS: "look for a full", syscall.EACCES: "`systemctl start imds-ready-watch` runs it as the user",
	} {
		err := fmt.Errorf("using the directory: %w", &fs.PathError{Op: "mkdir", Path: "watch", Err: errno})
		if exit, hint := watchFailure(err, "/d"); exit != readiness.ExitNoPerm || !strings.HasPrefix(hint, want) {
			t.Errorf("%v: %d, %q", errno, exit, hint)
		}
	}
}
