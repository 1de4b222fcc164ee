# SPDX-License-Identifier: Apache-2.0
# The facts after the boot, with the deb. They have a machine of their own, because they
# wait for timers.
. /boot-test/inside/lib.sh
. /boot-test/inside/refresh.sh
eventually 30 decided
systemctl stop sim-boot.service
refresh_facts
echo end
