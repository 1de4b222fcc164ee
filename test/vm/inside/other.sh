# SPDX-License-Identifier: Apache-2.0
# The firmware is not that of EC2.

eventually $patience began
fact 'other: the firmware names QEMU' vendor_is QEMU
fact 'other: the gate is skipped and becomes active' eval "eventually $patience is $gate active exited && state skipped"
booted
fact 'other: the journal names the vendor' eventually $patience journal_has QEMU
fact 'other: the soft consumer starts after the gate' running my-soft.service
fact 'other: the hard consumer is held' held my-hard.service
fact 'other: no unit failed' no_failed
