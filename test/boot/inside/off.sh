# SPDX-License-Identifier: Apache-2.0
# A boot with imds_ready=0 on the kernel's command line, and the other off switches.
. /boot-test/inside/lib.sh

eventually 20 no_jobs
skipped() { is $gate inactive && [ "$(property $gate ConditionResult)" = no ] && [ ! -e /run/imds ]; }
quiet() { ! journalctl -b -p warning UNIT=$gate -o cat | grep -v '^$' | grep -v 'skipped because of'; }
fact 'off: imds_ready=0 on the kernel command line skips the gate' skipped
fact 'off: the soft consumer starts' eventually 5 is my-soft.service active
fact 'off: a Requires= consumer starts too, and has no files' is my-requires.service active
fact 'off: the hard consumers are held' held my-hard.service own.service vendor-agent.service ecs.service nodeadm-run.service
fact 'off: and nobody is warned' quiet

# The command line of this boot stays; a drop-in without that condition has the others.
dropin line '[Unit]' 'ConditionKernelCommandLine='
# Resetting one condition resets them all (systemd.unit(5)).
paths=$(grep '^ConditionPathExists=' /usr/lib/systemd/system/$gate)
dropin line '[Unit]' 'ConditionKernelCommandLine=' "$paths"
for file in /etc/imds-ready/disabled /run/imds-ready.disabled; do
	touch $file
	systemctl start $gate
	fact "off: $file skips the gate" skipped
	rm $file
done
systemctl start $gate
fact 'off: without the switch the gate is passed' is $gate active
fact 'off: and the hard consumers start' running my-hard.service own.service vendor-agent.service nodeadm-run.service
echo end
