# SPDX-License-Identifier: Apache-2.0
# The unit itself: its start limit, its sandbox, its console.

# restarts N: the gate is restarted as often in at most a minute, and stays startable.
restarts() {
	local n begin=$SECONDS
	for ((n = 0; n < $1; n++)); do
		systemctl restart $gate || return 1
	done
	systemctl stop $gate && systemctl start $gate && is $gate active && state ready &&
		[ $((SECONDS - begin)) -lt 60 ] || { echo "after $((SECONDS - begin)) s: $(property $gate Result)"; return 1; }
}
loop_ended() { is $gate failed && [ -e /run/crash-seen ]; }

limit_facts() {
	run ok
	fact 'start limit: a ready gate is restarted 20 times in a minute, and can be started again' restarts 20
	rest
	cat >/run/systemd/system/crash-seen.service <<-'UNIT'
		[Service]
		Type=oneshot
		ExecStart=/bin/touch /run/crash-seen
	UNIT
	dropin crash '[Unit]' OnFailure=crash-seen.service '[Service]' ExecStart= \
		'ExecStart=/bin/sh -c "kill -ABRT $$$$"' 'ExecPaths=/usr /lib /lib64' RestartSec=10ms
	systemctl start --no-block $gate
	fact 'start limit: a crash loop ends in failed, and OnFailure= runs' eventually 60 loop_ended
	fact 'start limit: after more than 30 restarts' eval "[ \$(journalctl -b -u $gate -o cat | grep -c 'Scheduled restart job') -gt 30 ]"
	dropin crash
	rest
}

# What the daemon needs not see, where it exists.
hidden='/boot /dev/shm /run/dbus /run/lock /tmp /var/lib/cloud /var/log /var/tmp /home /root'
refused='io_uring_setup io_uring_enter io_uring_register io_setup userfaultfd memfd_create memfd_secret process_vm_readv
process_vm_writev ptrace kcmp add_key keyctl request_key shmget msgget semget mq_open pkey_alloc landlock_create_ruleset
seccomp mount open_tree fsopen chroot execveat name_to_handle_at vmsplice unshare-user mlock'
# probed RESULT NAME...: the probe had this result in the sandbox, for all of them.
probed() {
	local result=$1 name wrong=0
	shift
	for name; do
		grep -qx -- "$name $result" /run/probe.inside || { echo "not $result: $(grep -- "^$name " /run/probe.inside)"; wrong=1; }
	done
	return $wrong
}
# The same calls are not refused outside, so it is the sandbox that does it.
allowed_outside() { [ "$(wc -l </run/probe.outside)" -gt 40 ] && ! grep -E ' (EPERM|EACCES|EAFNOSUPPORT)$' /run/probe.outside; }
hidden_here() { for path in $hidden; do [ ! -e "$path" ] || echo "$path"; done; }

# A copy of the unit, with the probe in the place of the program.
sandbox_facts() {
	rest
	install -m 0755 /packages/probe /usr/bin/imds-probe
	sed -e "s#/usr/bin/imds-ready run#/usr/bin/imds-probe $(hidden_here | xargs)#" -e 's#^ExecPaths=.*#ExecPaths=/usr/bin/imds-probe#' \
		-e 's/^Type=.*/Type=oneshot/' -e '/^Restart=/d' \
		/usr/lib/systemd/system/$gate >/run/systemd/system/imds-probe.service
	systemctl daemon-reload
	systemctl start imds-probe.service
	journalctl --sync
	journalctl -b -o cat -t imds-probe >/run/probe.inside
	# shellcheck disable=SC2046
	/usr/bin/imds-probe $(hidden_here) >/run/probe.outside
	fact 'sandbox: a probe in the place of the program comes to its end' eval 'is imds-probe.service active && probed ok AF_UNIX AF_INET'
	fact 'sandbox: io_uring, userfaultfd, memfd_create, process_vm_*, ptrace and 22 more are refused' probed EPERM $refused
	fact 'sandbox: so are sockets of other families' probed EAFNOSUPPORT AF_VSOCK AF_PACKET
	# Newer versions of systemd let the kernel itself refuse the first of these.
	fact 'sandbox: no memory is writable and executable, nor is a file that it wrote' eval \
		'probed "\(EPERM\|EACCES\)" mmap-write-execute && probed EPERM mmap-execute mmap-execute-written'
	fact 'sandbox: no other program can be executed' probed EACCES execve
	fact 'sandbox: no core dump' probed '0 0' 'RLIMIT_CORE is'
	fact 'sandbox: at most 256 descriptors' probed '256 256' 'RLIMIT_NOFILE is'
	fact 'sandbox: what the daemon does not need is out of reach' probed EACCES $(hidden_here)
	fact 'sandbox: only /run/imds can be written' eval \
		'probed EROFS write:/ write:/etc write:/usr write:/var/lib && probed EACCES write:/run write:/dev/shm && probed ok write:/run/imds'
	fact 'sandbox: outside, none of this is refused' allowed_outside
	systemctl stop imds-probe.service
	rm -f /run/systemd/system/imds-probe.service /usr/bin/imds-probe
	systemctl daemon-reload

	run ok
	dropin pre '[Service]' ExecStartPre=/bin/true
	systemctl restart $gate 2>/dev/null
	fact 'NoExecPaths=: a drop-in with ExecStartPre= fails with 203' eval "is $gate failed && eventually 3 cannot_execute"
	dropin pre '[Service]' ExecStartPre=/bin/true 'ExecPaths=/usr /lib /lib64'
	systemctl restart $gate
	fact 'NoExecPaths=: and works with the ExecPaths= of the manual' is $gate active
	dropin pre
}
cannot_execute() { journalctl -b -u $gate -o cat | grep -q 'status=203/EXEC'; }

# A console that cannot be opened: /dev/tty, for a process without a terminal.
console_facts() {
	# While it runs for the last start of the gate, systemd does not start it once more.
	eventually 5 is imds-ready-console.service inactive
	mount --bind /dev/tty /dev/console
	systemctl restart $gate
	fact 'console: where it cannot be opened, the gate is ready, and nothing fails' eval \
		'is $gate active && state ready && eventually 5 shown && ! is imds-ready-console.service failed'
	umount /dev/console
	systemctl restart $gate
}
shown() { is imds-ready-console.service inactive && [ "$(property imds-ready-console.service InactiveEnterTimestampMonotonic)" -gt "$(property $gate ActiveEnterTimestampMonotonic)" ]; }
