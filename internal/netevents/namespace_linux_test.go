// SPDX-License-Identifier: Apache-2.0

package netevents

import (
	"os"
	"syscall"
)

// ownNetwork returns attributes that start a command in a new network namespace. Users
// other than root need a user namespace around it.
func ownNetwork() *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	ids := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
		UidMappings: ids(os.Geteuid()), GidMappings: ids(os.Getegid()),
	}
}
