# SPDX-License-Identifier: Apache-2.0
# For the scripts that run inside the machine. Sourced.

gate=imds-ready.service
status=/run/imds/status.json
examples=/usr/share/doc/imds-ready/examples
# The consumers that a scenario starts, each of its own kind.
kinds='my-soft.service my-hard.service my-requires.service my-binds.service'
# What the examples add to them; imds-ready.service wants these.
others='own.service vendor-agent.service ecs.service nodeadm-config.service nodeadm-run.service container.service'

# fact TEXT COMMAND...: a fact that holds when the command succeeds. When it does not,
# the state of things follows, as comments.
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

# eventually SECONDS COMMAND...: it succeeds within this time.
eventually() {
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt $end ] || { echo "not in time: $*"; return 1; }
		sleep 0.05
	done
}

property() { systemctl show --property="$2" --value "$1"; }
# is UNIT STATE [SUBSTATE]
is() {
	[ "$(property "$1" ActiveState)" = "$2" ] && [ $# -lt 3 -o "$(property "$1" SubState)" = "${3:-}" ]
}
# state STATE: what status.json says.
state() { grep -q "\"state\": \"$1\"" $status; }
# number KEY: a number of status.json.
number() { sed -n "s/^  \"$1\": \([0-9.]*\),*$/\1/p" $status; }
decided() { ! is $gate activating && ! is $gate deactivating && [ -z "$(property $gate Job | tr -d 0)" ]; }
# since CURSOR: the journal from then on.
cursor() { journalctl -n 1 -o export | sed -n 's/^__CURSOR=//p'; }

# after UNIT: its process began when the gate was decided, not before.
after() {
	local began decided_at
	began=$(property "$1" ExecMainStartTimestampMonotonic)
	decided_at=$(property $gate ActiveEnterTimestampMonotonic)
	is $gate active || decided_at=$(property $gate InactiveEnterTimestampMonotonic)
	[ "$began" -gt 0 ] && [ "$decided_at" -gt 0 ] && [ "$began" -ge "$decided_at" ] ||
		{ echo "$1 began at $began, the gate was decided at $decided_at"; return 1; }
}
# running UNIT...: each runs, and began after the gate was decided.
running() {
	local unit
	for unit; do
		eventually 5 is "$unit" active && after "$unit" || return 1
	done
}
# held UNIT...: none has a process, and nothing is under way.
held() {
	local unit
	for unit; do
		[ "$(property "$unit" MainPID)" = 0 ] && ! is "$unit" active && ! is "$unit" activating ||
			{ echo "$unit: $(property "$unit" ActiveState)"; return 1; }
	done
}
pids() { for unit; do property "$unit" MainPID; done | xargs; }

# sim SCHEDULE [FLAG...] starts the simulator at both addresses of IMDS.
sim() {
	local schedule=$1
	shift
	no_sim
	rm -f /run/sim.url
	systemd-run --quiet --unit=sim --collect --property=Type=exec \
		imds-sim --listen 169.254.169.254:80 --listen '[fd00:ec2::254]:80' --schedule "$schedule" \
		--log /run/sim.log --url-file /run/sim.url "$@"
	eventually 5 test -s /run/sim.url
}
no_sim() { systemctl stop sim.service 2>/dev/null; }

# policy TOML: a drop-in for the next start of the gate; "" is none.
policy() {
	mkdir -p /etc/imds-ready/imds-ready.toml.d
	printf '%s\n' "$1" >/etc/imds-ready/imds-ready.toml.d/zz-test.toml
}
# dropin NAME LINE...: a drop-in for the unit until the next boot; without lines, none.
dropin() {
	local file=/run/systemd/system/$gate.d/$1.conf
	shift
	mkdir -p "${file%/*}"
	if [ $# -gt 0 ]; then printf '%s\n' "$@" >"$file"; else rm -f "$file"; fi
	systemctl daemon-reload
}

# rest stops everything, as if nothing had been started in this boot.
rest() {
	systemctl stop consumers.target $kinds $others $gate 2>/dev/null
	systemctl reset-failed
	rm -rf /run/imds
}
# begin SCHEDULE [FLAG...]: from rest, all is started in one go, as a boot does it.
begin() {
	rest
	sim "$@"
	systemctl start --no-block consumers.target
	eventually 5 gate_began
}
gate_began() { [ "$(property $gate ExecMainStartTimestampMonotonic)" != 0 ] || is $gate failed; }
# run SCHEDULE [FLAG...]: begin, and wait for the decision and what follows from it.
run() {
	begin "$@"
	eventually 15 decided
	eventually 5 no_jobs
}
no_jobs() { systemctl list-jobs | grep -q '^No jobs'; }

# fake_firmware VENDOR prints a drop-in under which the gate sees this vendor. A mount
# over all of /sys: where there is no DMI, there is nothing to mount over.
fake_firmware() {
	mkdir -p "/etc/fake-sys/class/dmi/id" "/etc/systemd/system/$gate.d"
	printf '%s\n' "$1" >/etc/fake-sys/class/dmi/id/sys_vendor
	printf '[Service]\nBindReadOnlyPaths=/etc/fake-sys:/sys\nProtectKernelTunables=no\nProtectControlGroups=no\n'
}
