# SPDX-License-Identifier: Apache-2.0
# The package manager, while the machine runs and IMDS does not answer.

# takes SECONDS COMMAND...: succeeds if the command succeeds in less than this time.
takes() {
	local limit=$1 begin=$SECONDS
	shift
	timeout 60 bash -c "$(declare -f "$1"); $*" </dev/null >/run/package.log 2>&1 || { cat /run/package.log; return 1; }
	[ $((SECONDS - begin)) -lt "$limit" ] || { echo "took $((SECONDS - begin)) s"; return 1; }
}
version_is() { [ "$(imds-ready version)" = "imds-ready $1" ]; }
not_reloaded() { [ "$(property $gate NeedDaemonReload)" = yes ]; }
edited() { grep -qx 'deadline = "4m"' /etc/imds-ready/imds-ready.toml; }
enabled() { systemctl is-enabled --quiet $gate; }

package_facts() {
	local kept gate_at watch=imds-ready-watch.service watch_at
	policy ''
	run ok
	systemctl enable --quiet --now imds-ready-refresh.timer
	kept=$(pids $kinds)
	gate_at=$(property $gate ActiveEnterTimestampMonotonic)
	systemctl start $watch
	sim refuse
	printf '[retry]\ndeadline = "4m"\n' >>/etc/imds-ready/imds-ready.toml
	fact "$scenario: a reinstallation without IMDS takes less than 5 s" takes 5 reinstall_package
	eventually 10 is $watch active running
	watch_at=$(property $watch MainPID)
	fact "$scenario: an upgrade without IMDS takes less than 5 s" takes 5 upgrade_package
	fact "$scenario: the new version is installed, and systemd has reloaded the unit" eval 'version_is 99.0.0 && ! not_reloaded'
	fact "$scenario: neither of them restarts a consumer or the gate" eval \
		"[ '$kept' = \"\$(pids $kinds)\" ] && [ $gate_at = \"\$(property $gate ActiveEnterTimestampMonotonic)\" ]"
	fact "$scenario: an upgrade restarts a running watch" eventually 10 eval \
		"[ \$(property $watch MainPID) != $watch_at ] && is $watch active running"
	systemctl stop $watch
	fact "$scenario: the gate is still enabled, and the local change is kept" eval 'enabled && edited'
	fact "$scenario: the timer of the refresh is still enabled and active" eval 'systemctl is-enabled imds-ready-refresh.timer && is imds-ready-refresh.timer active'

	begin refuse
	fact "$scenario: a reinstallation while the gate waits takes less than 5 s, and the gate keeps waiting" eval \
		"pid=\$(property $gate MainPID); takes 5 reinstall_package next && [ \$pid = \"\$(property $gate MainPID)\" ] && is $gate activating"
	rest

	echo 'deadline = 4' >>/etc/imds-ready/imds-ready.toml
	fact "$scenario: an installation with an invalid configuration succeeds and names file and line" eval \
		"takes 5 reinstall_package next && grep -q 'imds-ready.toml:[0-9]*: ' /run/package.log"
	sed -i '$d' /etc/imds-ready/imds-ready.toml

	systemctl disable --quiet $gate
	fact "$scenario: the gate stays disabled after an upgrade" eval "takes 5 reinstall_package next && ! enabled"
	systemctl enable --quiet $gate
	systemctl mask --quiet $gate
	fact "$scenario: the gate stays masked after an upgrade" eval \
		"takes 5 reinstall_package next && [ \"\$(systemctl is-enabled $gate)\" = masked ]"
	systemctl unmask --quiet $gate
}
