# SPDX-License-Identifier: Apache-2.0
# All facts, with the deb.
scenario=deb
. /boot-test/inside/lib.sh
. /boot-test/inside/package.sh
for part in boot order ending files restart crash around package_facts removal; do
	. /boot-test/inside/$part.sh
done
boot_facts
systemctl stop sim-boot.service
order_facts
ending_facts
files_facts
restart_facts
crash_facts
around_facts
package_facts
removal_facts
echo end
