# SPDX-License-Identifier: Apache-2.0
# The scenario is on the kernel command line. This file is sourced.
scenario=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^vm_test=//p')
