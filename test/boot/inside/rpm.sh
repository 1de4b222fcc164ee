# SPDX-License-Identifier: Apache-2.0
# The facts that may differ with the rpm: a boot, and the effect of its scriptlets.
scenario=rpm
. /boot-test/inside/lib.sh
. /boot-test/inside/package.sh
for part in boot unit package_facts removal; do
	. /boot-test/inside/$part.sh
done
boot_facts
systemctl stop sim-boot.service
limit_facts
sandbox_facts
console_facts
package_facts
removal_facts
echo end
