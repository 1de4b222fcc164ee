# SPDX-License-Identifier: Apache-2.0
# The facts of one boot.

# The processor is emulated: everything takes longer, and looking often delays the boot.
patience=400 pause=1
. /vm-test/lib.sh
. /vm-test/scenario.sh
kinds='my-soft.service my-hard.service'

journal_has() { journalctl -b -u $gate -o cat | grep -q -- "$1"; }
no_cycle() { ! journalctl -b | grep -i 'ordering cycle\|breaking.*cycle\|deleted to break'; }
no_warning() { ! journalctl -b -q -p warning -u $gate -o cat | grep .; }
no_failed() { ! systemctl list-units --failed --plain --no-legend | grep .; }
booted() { eventually $patience no_jobs; }
began() { [ "$(property $gate ExecMainStartTimestampMonotonic)" -gt 0 ]; }
vendor_is() { grep -qx "$1" /sys/class/dmi/id/sys_vendor; }
failed_with() { is $gate failed && [ "$(property $gate ExecMainStatus)" = "$1" ] && [ "$(property $gate NRestarts)" = 0 ]; }

# Before the gate starts there is nothing to see, and looking would delay the boot.
eventually $patience test -e $status
. /vm-test/${scenario#*.}.sh
fact "$scenario: no ordering cycle in the journal" no_cycle
echo "# $scenario: Linux $(uname -r), systemd $(systemctl --version | sed -n 's/^systemd [0-9]* (\(.*\))$/\1/p'), up for $(cut -d ' ' -f 1 /proc/uptime) s"
echo end
sync
