# SPDX-License-Identifier: Apache-2.0
# Functions for the scripts that run inside the machine. This file is sourced.

gate=imds-ready.service
status=/run/imds/status.json
examples=/usr/share/doc/imds-ready/examples
# For how long, and how often, something is waited for, in seconds. A slow machine sets
# other values before it sources this file.
patience=${patience:-15} pause=${pause:-0.05}
# The consumers that a scenario starts, one of each kind.
kinds='my-soft.service my-hard.service my-requires.service my-binds.service'
# The consumers that the examples add; imds-ready.service wants these.
others='own.service vendor-agent.service ecs.service nodeadm-config.service nodeadm-run.service container.service'

# fact TEXT COMMAND...: reports a fact that holds if the command succeeds. If it does
# not, the state of the units follows as comments.
fact() {
	local text=$1 log
	shift
	if log=$("$@" 2>&1); then
		echo "ok - $text"
		return 0
	fi
	echo "not ok - $text"
	{
		echo "$*: failed: $log"
		systemctl --no-pager --no-legend list-units --all $gate $kinds own.service
		systemctl --no-pager -n 12 status $gate
		cat $status
		tail -n 5 /run/sim.log
	} 2>&1 | sed 's/^/#    /'
}

# eventually SECONDS COMMAND...: waits until the command succeeds, at most this long.
eventually() {
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt $end ] || { echo "not in time: $*"; return 1; }
		sleep "$pause"
	done
}

property() { systemctl show --property="$2" --value "$1"; }
# is UNIT STATE [SUBSTATE]: succeeds if the unit is in this state.
is() {
	[ "$(property "$1" ActiveState)" = "$2" ] && [ $# -lt 3 -o "$(property "$1" SubState)" = "${3:-}" ]
}
# state STATE: succeeds if this is the state in status.json.
state() { grep -q "\"state\": \"$1\"" $status; }
# number KEY: prints a number of status.json.
number() { sed -n "s/^  \"$1\": \([0-9.]*\),*$/\1/p" $status; }
decided() { ! is $gate activating && ! is $gate deactivating && [ -z "$(property $gate Job | tr -d 0)" ]; }

# after UNIT: succeeds if its process started after the gate was decided.
after() {
	local began decided_at
	began=$(property "$1" ExecMainStartTimestampMonotonic)
	decided_at=$(property $gate ActiveEnterTimestampMonotonic)
	is $gate active || decided_at=$(property $gate InactiveEnterTimestampMonotonic)
	[ "$began" -gt 0 ] && [ "$decided_at" -gt 0 ] && [ "$began" -ge "$decided_at" ] ||
		{ echo "$1 started at $began, the gate was decided at $decided_at"; return 1; }
}
# running UNIT...: succeeds if each unit runs and started after the gate was decided.
running() {
	local unit
	for unit; do
		eventually "$patience" is "$unit" active && after "$unit" || return 1
	done
}
# held UNIT...: succeeds if the units have no process and are not starting.
held() {
	local unit
	for unit; do
		[ "$(property "$unit" MainPID)" = 0 ] && ! is "$unit" active && ! is "$unit" activating ||
			{ echo "$unit: $(property "$unit" ActiveState)"; return 1; }
	done
}
pids() { for unit; do property "$unit" MainPID; done | xargs; }

# sim SCHEDULE [FLAG...]: starts the simulator at both addresses of IMDS.
sim() {
	local schedule=$1
	shift
	no_sim
	rm -f /run/sim.url
	systemd-run --quiet --unit=sim --collect --property=Type=exec \
		imds-sim --listen 169.254.169.254:80 --listen '[fd00:ec2::254]:80' --schedule "$schedule" \
		--log /run/sim.log --url-file /run/sim.url "$@"
	eventually "$patience" test -s /run/sim.url
}
no_sim() { systemctl stop sim.service 2>/dev/null; }

# policy TOML: writes a drop-in for the next start of the gate; it may be empty.
policy() {
	mkdir -p /etc/imds-ready/imds-ready.toml.d
	printf '%s\n' "$1" >/etc/imds-ready/imds-ready.toml.d/zz-test.toml
}
# dropin NAME LINE...: writes a drop-in for the unit that lasts until the next boot.
# Without lines, it removes the drop-in.
dropin() {
	local file=/run/systemd/system/$gate.d/$1.conf
	shift
	mkdir -p "${file%/*}"
	if [ $# -gt 0 ]; then printf '%s\n' "$@" >"$file"; else rm -f "$file"; fi
	systemctl daemon-reload
}

# rest: stops everything, as if this boot has not started the gate yet.
rest() {
	systemctl stop consumers.target $kinds $others $gate 2>/dev/null
	systemctl reset-failed
	rm -rf /run/imds
}
# begin SCHEDULE [FLAG...]: starts everything in one transaction, as a boot does.
begin() {
	rest
	sim "$@"
	systemctl start --no-block consumers.target
	eventually "$patience" gate_began
}
gate_began() { [ "$(property $gate ExecMainStartTimestampMonotonic)" != 0 ] || is $gate failed; }
# run SCHEDULE [FLAG...]: like begin, and waits for the decision and the jobs after it.
run() {
	begin "$@"
	eventually "$patience" decided
	eventually "$patience" no_jobs
}
no_jobs() { systemctl list-jobs | grep -q '^No jobs'; }

# fake_firmware VENDOR: prints a drop-in that makes the gate see this vendor. It mounts
# over the whole of /sys, because a machine without DMI does not have the file.
fake_firmware() {
	mkdir -p "/etc/fake-sys/class/dmi/id" "/etc/systemd/system/$gate.d"
	printf '%s\n' "$1" >/etc/fake-sys/class/dmi/id/sys_vendor
	printf '[Service]\nBindReadOnlyPaths=/etc/fake-sys:/sys\nProtectKernelTunables=no\nProtectControlGroups=no\n'
}
