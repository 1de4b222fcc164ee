# SPDX-License-Identifier: Apache-2.0
# A machine to boot: the root of this one under an overlay, in namespaces of its own,
# by systemd-nspawn. Nothing of it is left afterwards. Sourced; $work is a directory.
# Each machine has a directory of its own in it, with its logs.

# boot SCENARIO makes, prepares, boots, tests and removes one, in a subshell: several
# may run at a time.
boot() (
	machine=$work/$1 name=imds-boot.$BASHPID pid='' init=''
	mkdir -p "$machine/root" "$machine/overlay"
	trap machine_stop EXIT
	trap 'exit 130' INT TERM
	machine_make
	(machine_nspawn --pipe /bin/bash /boot-test/inside/prepare.sh "$1") </dev/null >"$machine/prepare.log" 2>&1 || true
	machine_boot "$1" || exit 0
	# As a process from outside, not as a unit of the machine: that needs no D-Bus, and has
	# no part in its boot.
	nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup --root --wd \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 LC_ALL=C.UTF-8 \
		timeout 200 /bin/bash "/boot-test/inside/$1.sh" </dev/null >"$machine/test.log" 2>&1 || true
)

# machine_make lays an empty overlay over this machine's root.
machine_make() {
	mount -t tmpfs -o size=1g,mode=0755 imds-boot "$machine/overlay"
	mkdir "$machine/overlay/upper" "$machine/overlay/work"
	mount -t overlay imds-boot "$machine/root" \
		-o "lowerdir=/,upperdir=$machine/overlay/upper,workdir=$machine/overlay/work"
	# In the overlay: a new machine that starts none of this one's services.
	rm -rf "$machine"/root/etc/systemd/system/*.wants "$machine"/root/etc/systemd/system/*.requires
	: >"$machine/root/etc/machine-id"
	echo imds-boot >"$machine/root/etc/hostname"
}

# machine_nspawn becomes systemd-nspawn, with what all uses have in common, in control
# groups of its own: unified inside, whatever this machine has.
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

# machine_boot SCENARIO boots it, and waits until its systemd takes commands.
machine_boot() {
	local arguments=()
	[ "$1" != off ] || arguments=(imds_ready=0)
	# CAP_BPF, CAP_PERFMON and bpf(2): without them IPAddressDeny= and DeviceAllow= are
	# silently not enforced.
	(machine_nspawn --boot --console=read-only --capability=CAP_BPF,CAP_PERFMON,CAP_SYSLOG \
		--system-call-filter=bpf "${arguments[@]}") </dev/null >"$machine/console.log" 2>&1 &
	pid=$!
	echo "$pid" >"$machine/pid"
	for _ in {1..400}; do
		# Its first process, which is number 1 for itself.
		for init in $(pgrep -P "$pid"); do
			grep -q '^NSpid:.*[[:space:]]1$' "/proc/$init/status" 2>/dev/null &&
				[ -S "/proc/$init/root/run/systemd/private" ] && return 0
		done
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	echo 'not ok - its systemd comes up' >"$machine/test.log"
	return 1
}

# machine_stop ends what machine_boot has started, by its number, and takes all down.
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

# report_boot SCENARIO counts and numbers what was found; the console of a boot in
# which a fact did not hold follows.
report_boot() {
	local machine=$work/$1 before=$failed
	echo "# a boot: $1"
	report "$machine/prepare.log"
	report "$machine/test.log"
	if [ "$failed" -gt "$before" ] || [ "${CONSOLE:-}" = yes ]; then
		show "the console of the boot: $1" "$machine/console.log"
		return
	fi
	[ "$1" = off ] || fact "$(on_console "$machine/console.log")" "$1: the serial console has what the gate waits for, and how it ended"
}

# on_console LOG prints 0 when both lines of the gate are on the console.
on_console() {
	grep -aq 'imds-ready.*waiting for IMDS' "$1" && grep -aq 'imds-ready.*ready in .* attempts' "$1" && echo 0 || echo 1
}

# machines_stop ends machines from outside the subshells of boot, which clean up; it
# waits until they have. Not by `wait`: in a trap that interrupts one it does not.
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
