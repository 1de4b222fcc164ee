# SPDX-License-Identifier: Apache-2.0
# The package manager, while the machine runs and IMDS does not answer.

# at_once COMMAND...: succeeds if the package manager succeeds and waits neither for the
# gate nor for the end of a stop timeout. Such a wait takes at least two minutes, see
# slow_stops, and a package operation about a second, so the limit of 30 s is exceeded
# by every wait, and not by a busy machine.
at_once() {
	timeout 30 bash -c "$(declare -f "$1"); $*" </dev/null >/run/package.log 2>&1 || { echo "exit code $?"; cat /run/package.log; return 1; }
}
# slow_stops: a stop that waits for the end of its timeout takes two minutes. The units
# have a TimeoutStopSec= of 5 s.
slow_stops() {
	local unit
	for unit in $gate imds-ready-refresh.service imds-ready-watch.service; do
		mkdir -p "/run/systemd/system/$unit.d"
		printf '[Service]\nTimeoutStopSec=2min\n' >"/run/systemd/system/$unit.d/slow-stops.conf"
	done
	systemctl daemon-reload
}
version_is() { [ "$(imds-ready version)" = "imds-ready $1" ]; }
not_reloaded() { [ "$(property $gate NeedDaemonReload)" = yes ]; }
edited() { grep -qx 'deadline = "4m"' /etc/imds-ready/imds-ready.toml; }
enabled() { systemctl is-enabled --quiet $gate; }

package_facts() {
	local kept gate_at watch=imds-ready-watch.service watch_at
	slow_stops
	policy ''
	run ok
	systemctl enable --quiet --now imds-ready-refresh.timer
	kept=$(pids $kinds)
	gate_at=$(property $gate ActiveEnterTimestampMonotonic)
	systemctl start $watch
	sim refuse
	printf '[retry]\ndeadline = "4m"\n' >>/etc/imds-ready/imds-ready.toml
	fact "$scenario: a reinstallation does not wait for IMDS" at_once reinstall_package
	eventually 10 is $watch active running
	watch_at=$(property $watch MainPID)
	fact "$scenario: an upgrade does not wait for IMDS" at_once upgrade_package
	fact "$scenario: the new version is installed, and systemd has reloaded the unit" eval 'version_is 99.0.0 && ! not_reloaded'
	fact "$scenario: neither of them restarts a consumer or the gate" eval \
		"[ '$kept' = \"\$(pids $kinds)\" ] && [ $gate_at = \"\$(property $gate ActiveEnterTimestampMonotonic)\" ]"
	fact "$scenario: an upgrade restarts a running watch" eventually 10 eval \
		"[ \$(property $watch MainPID) != $watch_at ] && is $watch active running"
	systemctl stop $watch
	fact "$scenario: the gate is still enabled, and the local change is kept" eval 'enabled && edited'
	fact "$scenario: the timer of the refresh is still enabled and active" eval 'systemctl is-enabled imds-ready-refresh.timer && is imds-ready-refresh.timer active'

	begin refuse
	fact "$scenario: a reinstallation while the gate waits does not wait for it, and the gate keeps waiting" eval \
		"pid=\$(property $gate MainPID); at_once reinstall_package next && [ \$pid = \"\$(property $gate MainPID)\" ] && is $gate activating"
	rest

	echo 'deadline = 4' >>/etc/imds-ready/imds-ready.toml
	fact "$scenario: an installation with an invalid configuration succeeds and names file and line" eval \
		"at_once reinstall_package next && grep -q 'imds-ready.toml:[0-9]*: ' /run/package.log"
	sed -i '$d' /etc/imds-ready/imds-ready.toml

	systemctl disable --quiet $gate
	fact "$scenario: the gate stays disabled after an upgrade" eval "at_once reinstall_package next && ! enabled"
	systemctl enable --quiet $gate
	systemctl mask --quiet $gate
	fact "$scenario: the gate stays masked after an upgrade" eval \
		"at_once reinstall_package next && [ \"\$(systemctl is-enabled $gate)\" = masked ]"
	systemctl unmask --quiet $gate
}
