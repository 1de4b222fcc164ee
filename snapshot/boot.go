// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"os"
	"strings"
)

// ErrOtherBoot means that status.json was written in another boot. The files beside
// it may belong to another instance, for example if this instance was started from an
// image of a running one.
var ErrOtherBoot = errors.New("status from another boot")

// AnyBoot is used instead of a boot ID to accept the files of any boot. It is for a
// container or a micro VM that sees the host's files but has another boot ID. With
// AnyBoot, the daemon's PID is ignored, because it may be from another PID namespace.
const AnyBoot = "*"

// unknownBoot is the nil UUID, which no kernel generates.
const unknownBoot = "00000000-0000-0000-0000-000000000000"

// BootID returns the kernel's boot_id (random(4)), a random UUID that identifies this
// boot. If the kernel does not provide one, BootID returns the nil UUID, in the daemon
// and in the readers alike.
func BootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if text := strings.TrimSpace(string(id)); err == nil && text != "" {
		return text
	}
	return unknownBoot
}
