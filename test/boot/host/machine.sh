# SPDX-License-Identifier: Apache-2.0
# Boots a machine with systemd-nspawn: the root of this machine, or the one in $BASE, under
# an overlay, in namespaces of its own. It is removed completely afterwards. This file is sourced.
# Each machine has a directory with its logs in the directory $work.

# boot SCENARIO makes, prepares, boots, tests and removes a machine. It runs in a
# subshell, so several machines may run at a time.
boot() (
	machine=$work/$1 name=imds-boot.$BASHPID pid='' init=''
	mkdir -p "$machine/root" "$machine/overlay"
	trap machine_stop EXIT
	trap 'exit 130' INT TERM
	machine_make
	(machine_nspawn --pipe /bin/bash /boot-test/inside/prepare.sh "$1") </dev/null >"$machine/prepare.log" 2>&1 || true
	machine_boot "$1" || exit 0
	# The test runs as a process from outside, not as a unit of the machine, so it does not
	# need D-Bus and does not take part in the boot.
	nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup --root --wd \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 LC_ALL=C.UTF-8 \
		timeout 600 /bin/bash "/boot-test/inside/$1.sh" </dev/null >"$machine/test.log" 2>&1 || true
)

# machine_make mounts an empty overlay over the root.
machine_make() {
	mount -t tmpfs -o size=1g,mode=0755 imds-boot "$machine/overlay"
	mkdir "$machine/overlay/upper" "$machine/overlay/work"
	mount -t overlay imds-boot "$machine/root" \
		-o "lowerdir=${BASE:-/},upperdir=$machine/overlay/upper,workdir=$machine/overlay/work"
	# In the overlay, make it a new machine that does not start the services of this one.
	rm -rf "$machine"/root/etc/systemd/system/*.wants "$machine"/root/etc/systemd/system/*.requires
	: >"$machine/root/etc/machine-id"
	echo imds-boot >"$machine/root/etc/hostname"
}

# machine_nspawn replaces itself by systemd-nspawn with the common options, in control
# groups of its own. Inside, the unified hierarchy is used, even if this machine does not
# use it.
machine_nspawn() {
	local base
	for base in "${hierarchies[@]}"; do
		[ -w "$base/cgroup.procs" ] || continue
		mkdir -p "$base/$name"
		echo "$BASHPID" >"$base/$name/cgroup.procs"
	done
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn --quiet --directory="$machine/root" \
		--machine="$name" --register=no --keep-unit --private-network --resolv-conf=off --timezone=off \
		--bind-ro="$work/packages:/packages" --bind-ro="$PWD/test/boot:/boot-test" "$@"
}
hierarchies=(/sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd)

# machine_boot SCENARIO boots the machine and waits until its systemd accepts commands.
machine_boot() {
	local arguments=()
	[ "$1" != off ] || arguments=(imds_ready=0)
	# Without CAP_BPF, CAP_PERFMON and bpf(2), systemd silently does not enforce
	# IPAddressDeny= and DeviceAllow=.
	(machine_nspawn --boot --console=read-only --capability=CAP_BPF,CAP_PERFMON,CAP_SYSLOG \
		--system-call-filter=bpf "${arguments[@]}") </dev/null >"$machine/console.log" 2>&1 &
	pid=$!
	echo "$pid" >"$machine/pid"
	for _ in {1..400}; do
		# Find its first process, which has PID 1 in its own namespace.
		for init in $(pgrep -P "$pid"); do
			grep -q '^NSpid:.*[[:space:]]1$' "/proc/$init/status" 2>/dev/null &&
				[ -S "/proc/$init/root/run/systemd/private" ] && return 0
		done
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	echo 'not ok - systemd starts in the machine' >"$machine/test.log"
	return 1
}

# machine_stop terminates the process that machine_boot started and removes all mounts.
machine_stop() {
	trap '' INT TERM
	if [ -n "$pid" ]; then
		kill -TERM "$pid" 2>/dev/null || true
		for _ in {1..100}; do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	local at
	for at in "$machine/root" "$machine/overlay"; do
		! mountpoint -q "$at" || umount -R "$at"
	done
	for at in "${hierarchies[@]}"; do
		[ ! -d "$at/$name" ] || find "$at/$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}

# report_boot SCENARIO counts and numbers the facts of a boot. If one of them failed, it
# prints the console as well.
report_boot() {
	local machine=$work/$1 before=$failed
	echo "# a boot: $1"
	report "$machine/prepare.log"
	report "$machine/test.log"
	if [ "$failed" -gt "$before" ] || [ "${CONSOLE:-}" = yes ]; then
		show "the console of the boot: $1" "$machine/console.log"
		return
	fi
	[ "$1" = off ] || fact "$(on_console "$machine/console.log")" "$1: the serial console shows what the gate waits for and how it ended"
}

# on_console LOG prints 0 if both lines of the gate are on the console, otherwise 1.
on_console() {
	grep -aq 'imds-ready.*waiting for IMDS' "$1" && grep -aq 'imds-ready.*ready in .* attempts' "$1" && echo 0 || echo 1
}

# machines_stop terminates the machines from outside the subshells of boot, and waits
# until these have cleaned up. It does not use `wait`, which returns at once in a trap
# that has interrupted another `wait`.
machines_stop() {
	local file
	for file in "$work"/*/pid; do
		[ ! -e "$file" ] || kill -TERM "$(cat "$file")" 2>/dev/null || true
	done
	for _ in {1..300}; do
		jobs -r | grep -q . || grep -q " $work/" /proc/self/mounts || break
		sleep 0.1
	done
}
