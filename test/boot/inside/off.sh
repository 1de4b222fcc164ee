# SPDX-License-Identifier: Apache-2.0
# A boot with imds_ready=0 on the kernel command line, and the other ways to switch the
# gate off.
. /boot-test/inside/lib.sh

eventually 20 no_jobs
skipped() { is $gate inactive && [ "$(property $gate ConditionResult)" = no ] && [ ! -e /run/imds ]; }
quiet() { ! journalctl -b -p warning UNIT=$gate -o cat | grep -v '^$' | grep -v 'skipped because of'; }
fact 'off: imds_ready=0 on the kernel command line skips the gate' skipped
fact 'off: the soft consumer starts' eventually 5 is my-soft.service active
fact 'off: a Requires= consumer starts too, without files' is my-requires.service active
fact 'off: the hard consumers are held' held my-hard.service own.service vendor-agent.service ecs.service nodeadm-run.service
fact 'off: the journal has no warning' quiet

# The command line of this boot cannot change, so a drop-in removes its condition.
dropin line '[Unit]' 'ConditionKernelCommandLine='
# Resetting one condition resets all of them (systemd.unit(5)).
paths=$(grep '^ConditionPathExists=' /usr/lib/systemd/system/$gate)
dropin line '[Unit]' 'ConditionKernelCommandLine=' "$paths"
for file in /etc/imds-ready/disabled /run/imds-ready.disabled; do
	touch $file
	systemctl start $gate
	fact "off: $file skips the gate" skipped
	rm $file
done
systemctl start $gate
fact 'off: without the switch the unit becomes active' is $gate active
fact 'off: without the switch the hard consumers start' running my-hard.service own.service vendor-agent.service nodeadm-run.service
echo end
