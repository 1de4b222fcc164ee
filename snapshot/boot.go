// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"os"
	"strings"
)

// ErrOtherBoot is a status.json of another boot: the files beside it may be of
// another instance, as in an image that was made of a running one.
var ErrOtherBoot = errors.New("of another boot")

// AnyBoot, in the place of a boot ID, takes the files of whatever boot: for a
// container or a micro VM that sees the host's files and has a kernel, or a view
// of one, of its own. It also says that the daemon's PID means nothing here.
const AnyBoot = "*"

// unknownBoot is the nil UUID, which no kernel draws.
const unknownBoot = "00000000-0000-0000-0000-000000000000"

// BootID tells this boot from every other: the kernel's random boot_id (random(4)),
// a UUID, and the nil UUID where the kernel does not say, for the daemon and for
// the readers alike.
func BootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if text := strings.TrimSpace(string(id)); err == nil && text != "" {
		return text
	}
	return unknownBoot
}
