# SPDX-License-Identifier: Apache-2.0
# The gate is killed while it waits, and stopped while it waits.

crash_facts() {
	local pid soft
	begin refuse
	pid=$(property $gate MainPID)
	kill -KILL "$pid"
	fact 'kill -9 while waiting: systemd restarts the gate' eval \
		"eventually $patience is $gate activating start && [ \"\$(property $gate MainPID)\" != $pid ]"
	sim ok
	fact 'kill -9 while waiting: the hard consumers get their files in the end' eval \
		'eventually 10 is $gate active && running my-hard.service own.service && [ -s /run/imds/identity.json ]'
	fact 'kill -9 while waiting: no temporary files remain' test -z "$(find /run/imds -name '.*' ! -name .lock)"

	begin refuse
	soft=$(date +%s%N)
	systemctl stop $gate
	fact 'stop while waiting: the gate stops cleanly within 1.5 s' eval \
		"is $gate inactive && [ $((($(date +%s%N) - soft) / 1000000)) -lt 1500 ] && [ \"\$(property $gate Result)\" = success ]"
	fact 'stop while waiting: the hard consumers are held' held my-hard.service own.service
}
