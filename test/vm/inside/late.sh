# SPDX-License-Identifier: Apache-2.0
# The DHCP server answers 5 s after the gate began to wait. Then: the limits of the unit,
# which only a real machine enforces completely.

cgroup=/sys/fs/cgroup/system.slice/$gate
waiting() { is $gate activating start && state waiting; }
no_address() { ! ip -4 -o address show scope global | grep .; }
limited() { [ "$(cat $cgroup/memory.max)" = $((128 << 20)) ] && [ "$(cat $cgroup/pids.max)" = 64 ]; }
small() { [ "$(cat $cgroup/memory.peak)" -lt $((32 << 20)) ] && [ "$(cat $cgroup/pids.current)" -lt 32 ]; }
by_dhcp() { ip -4 -o address show scope global | grep -q ' 10.0.1.25/24 .* dynamic '; }
met() { grep -q "\"$1\": [0-9]" $status; }
at_imds() { grep -q '"endpoint": "http://169.254.169.254"' $status; }

eventually $patience waiting
fact 'late: the firmware names Amazon EC2' vendor_is 'Amazon EC2'
fact 'late: the gate waits while the network card has no address' eval 'no_address && waiting'
fact 'late: multi-user.target is reached while the gate waits' eval "eventually $patience is multi-user.target active && waiting"
fact 'late: no consumer starts while the gate waits' held $kinds
fact 'late: the kernel has the limits: 128 MiB of memory, 64 tasks' limited
fact 'late: the gate uses less than 32 MiB and 32 tasks' small
echo "# late: memory.peak $(cat $cgroup/memory.peak) bytes, pids.current $(cat $cgroup/pids.current)"
echo '# the gate waits'
fact 'late: the gate becomes ready' eval "eventually $patience is $gate active exited && state ready"
fact 'late: systemd-networkd has the address by DHCP' by_dhcp
fact 'late: IMDS was found at 169.254.169.254, and was unreachable before' eval 'at_imds && met unreachable'
fact 'late: the soft and the hard consumer start after the gate' running $kinds
booted
fact 'late: no unit failed, and the gate logged no warning' eval 'no_failed && no_warning'

# restarted RESULT: the gate is started again and ends with this result.
restarted() {
	systemctl reset-failed $gate
	timeout 120 systemctl restart $gate
	[ "$(property $gate Result)" = "$1" ] || { echo "the result is $(property $gate Result)"; return 1; }
}
policy $'[endpoint]\nurl = "http://10.0.1.1"\n[retry]\ndeadline = "6s"'
fact 'limits: root reaches another address that answers like IMDS' curl -s -m 20 -o /dev/null http://10.0.1.1/
fact 'limits: for the gate, IPAddressDeny= drops its packets (BPF)' eval 'restarted exit-code && met connect-timeout'
dropin address '[Service]' IPAddressAllow=10.0.1.1
fact 'limits: with IPAddressAllow= the gate reaches it' eval "restarted success && is $gate active"
dropin address
policy ''
dropin memory '[Service]' MemoryMax=2M MemorySwapMax=0 Restart=no
fact 'limits: MemoryMax=2M kills the gate' restarted oom-kill
dropin memory
dropin tasks '[Service]' TasksMax=2 Restart=no
fact 'limits: TasksMax=2 keeps the gate from creating threads' eval \
	'restarted exit-code && eventually $patience journal_has "failed to create new OS thread"'
dropin tasks
fact 'limits: with those of the unit, the gate is ready again' restarted success
