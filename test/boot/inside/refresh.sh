# SPDX-License-Identifier: Apache-2.0
# After the boot: the metadata is refreshed by `systemctl reload` and by the timer.

refresh=imds-ready-refresh.service
timer=imds-ready-refresh.timer
generation_is() { [ "$(number generation)" = "$1" ]; }
all_kinds() { pids $kinds && property own.service ExecMainStartTimestampMonotonic && property $gate ActiveEnterTimestampMonotonic; }
# reloads CODE: the reload returns success only with 0, and neither the gate nor a consumer
# is stopped.
reloads() {
	local before code=0
	before=$(all_kinds)
	systemctl reload $gate || code=1
	[ $code = "$1" ] && [ "$before" = "$(all_kinds)" ] && is $gate active exited || { echo "exit code $code"; return 1; }
}
# since FILE: the lines of the journal about the refresh since the time in the file. systemd
# 262 complains at each start if the control groups of the machine do not count processes.
since() {
	journalctl --sync
	journalctl -b -o cat --since "@$(cat "$1")" "${@:2}" _SYSTEMD_UNIT=$refresh + UNIT=$refresh | grep -v 'Failed to read pids.max'
}
explained() { journalctl -b -x _SYSTEMD_UNIT=$refresh | grep -q "Subject: The EC2 metadata could not be refreshed" || { since /run/since; return 1; }; }
failures() { grep -q '"stale_since": "' $status && [ "$(property $refresh ExecMainStartTimestampMonotonic)" -gt "$1" ]; }
runs() { systemctl show --property=ExecMainStartTimestampMonotonic --value $refresh; }
# ran N: the timer has started the refresh so often since.
ran() {
	local n last now
	last=$(runs)
	for ((n = 0; n < $1; n++)); do
		eventually 20 eval "[ \"\$(runs)\" != $last ] && is $refresh inactive" || return 1
		last=$(runs)
	done
}
# often: the timer starts the refresh every second, which is more than systemd's default limit.
often() {
	mkdir -p /run/systemd/system/$timer.d
	printf '[Timer]\nOnActiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nRandomizedDelaySec=0\n' >/run/systemd/system/$timer.d/often.conf
	systemctl daemon-reload
}
none_failed() { ! systemctl list-units --failed --plain --no-legend | grep .; }
env_of() { tr '\0' '\n' <"/proc/$(property "$1" MainPID)/environ" | grep -x "IMDS_STATE=$2"; }
owned() { [ "$(stat -c %U:%a:%i /run/imds)" = "imds-ready:755:$1" ]; }

refresh_facts() {
	policy $'[retry]\ndeadline = "1s"'
	run ok --change meta-data/tags/instance/Name=0s=changed
	local inode
	inode=$(stat -c %i /run/imds)
	fact 'refresh: the timer is installed and not enabled' eval "[ \"\$(systemctl is-enabled $timer)\" = disabled ] && is $timer inactive"
	fact 'reload: refreshes once and returns success, and no unit is restarted' eval 'reloads 0 && generation_is 2'
	sim refuse
	fact 'reload: without IMDS it returns the failure, and all files stay' eval 'reloads 1 && generation_is 2 && state ready && [ -s /run/imds/identity.json ]'
	sim 403@put
	fact 'reload: the same if IMDS is disabled now' eval 'reloads 1 && generation_is 2 && state ready'
	sim ok
	fact 'reload: succeeds again' eval 'reloads 0 && generation_is 3'
	fact 'refresh: root is refused with 77 and writes nothing' eval 'imds-ready refresh; [ $? = 77 ] && generation_is 3 && owned '"$inode"

	often
	date +%s.%N >/run/since
	systemctl start $timer
	fact 'timer: with only the timer enabled, the generation grows' eventually 40 eval '[ "$(number generation)" -ge 5 ]'
	fact 'timer: /run/imds keeps its inode, owner and mode' owned "$inode"
	fact 'timer: the journal gets no line' eval '! since /run/since | grep .'
	sim refuse
	ran 4
	fact 'timer: while IMDS is down, no unit is failed and all files stay' eval 'none_failed && state ready && [ -s /run/imds/identity.json ] && failures 0'
	fact 'timer: the journal has one warning about it, with an explanation' eval \
		'[ "$(since /run/since | wc -l)" = 1 ] && since /run/since -p warning | grep -q "^refresh failed" && explained'
	sim 403@put
	ran 2
	fact 'timer: nor is one failed while IMDS is disabled' none_failed
	local journal
	journal=$(property systemd-journald.service MainPID)
	kill -STOP "$journal" # it must find the unit of the line all the same
	sim ok
	# On a busy machine, the first refresh may still reach the deadline of a second.
	eventually 30 eval "! grep -q '\"stale_since\": \"' $status"
	sleep 0.2
	kill -CONT "$journal"
	ran 1
	fact 'timer: and one line when it is back, even if the journal is slow' eval '[ "$(since /run/since | wc -l)" = 2 ] && since /run/since | grep -q "^refreshed again after"'
	touch /run/imds-ready.disabled
	sim ok
	sleep 2.5
	fact 'timer: an off switch makes a refresh make no request' eval "! grep -q '\"kind\"' /run/sim.log && [ \"\$(property $refresh ConditionResult)\" = no ]"
	rm /run/imds-ready.disabled
	systemctl stop $timer $refresh

	echo AWS_EC2_METADATA_DISABLED=true >/etc/imds-ready/environment
	sim ok
	fact '/etc/imds-ready/environment: its variables apply to a refresh and to the gate' eval \
		"systemctl start $refresh && systemctl restart $gate && state skipped && ! grep -q '\"kind\"' /run/sim.log"
	fact 'refresh: where the gate was skipped, it succeeds without a request' eval \
		"rm /etc/imds-ready/environment; systemctl start $refresh && state skipped && ! grep -q '\"kind\"' /run/sim.log"
	systemctl restart $gate

	# As a refresh that was stopped by SIGSTOP, which does not hold the lock of a gate.
	flock /run/imds/.lock sleep 100 &
	local holder=$!
	eventually 5 eval '! flock -n /run/imds/.lock true'
	systemctl restart --no-block $gate
	fact 'lock: the gate waits for a refresh that holds the lock' eventually 5 eval "property $gate StatusText | grep -q 'a refresh holds it'"
	kill "$(pgrep -P $holder -x sleep)" $holder 2>/dev/null
	fact 'lock: and is ready when the lock is released' eventually 10 eval "is $gate active exited && state ready"

	# A hard consumer that a degraded gate holds.
	policy $'[retry]\ndeadline = "1s"\n[ready]\non_timeout = "continue"'
	run refuse
	fact 'doc/examples/release.path: its commands install it' example release.path
	systemctl disable --quiet $timer
	systemctl daemon-reload
	systemctl start my-hard.path
	fact 'release.path: a degraded gate holds the hard consumer' eval 'state degraded && held my-hard.service'
	fact 'release.path: so does a refresh that fails' eval 'reloads 1 && state degraded && held my-hard.service'
	sim ok
	systemctl reload $gate
	fact 'release.path: a refresh that succeeds releases it, with IMDS_STATE=ready' eval \
		'state ready && eventually 5 is my-hard.service active && env_of my-hard.service ready'
	systemctl stop my-hard.service 2>/dev/null # it warns that the path unit can start it
	systemctl reload $gate
	sleep 1
	fact 'release.path: after systemctl stop it stays stopped' eval 'is my-hard.service inactive && state ready && is my-hard.path active'
	systemctl disable --quiet --now my-hard.path
	rm -rf /etc/systemd/system/my-hard.path /run/systemd/system/$timer.d
	systemctl daemon-reload
	policy ''
}
example() { cd $examples && sed -n 's/^# \$ //p' "$1" | bash -e; }
