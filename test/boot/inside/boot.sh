# SPDX-License-Identifier: Apache-2.0
# The boot itself, with a late IMDS: the units that wait, those that do not, and the
# result. With the deb, imds-ready.service wants all consumers; with the rpm,
# multi-user.target wants them.

waits() { is $gate activating start && state waiting; }
passed_by() { eventually 20 is multi-user.target active && is $gate activating; }
waits_along() { eventually 20 is basic.target active && sleep 1 && is multi-user.target inactive && is $gate activating; }
says_why() { property $gate StatusText | grep -q '^waiting for IMDS: connection refused, attempt [0-9]*, '; }
passed() { eventually 30 is $gate active exited && [ "$(property $gate Result)" = success ] && state ready; }
told() { property $gate StatusText | grep -q '^ready in .*: i-[0-9a-f]*, [0-9]* attempts$'; }
retried() { [ "$(number attempts)" -gt 20 ]; }
no_cycle() { ! journalctl -b | grep -i 'ordering cycle\|breaking.*cycle\|deleted to break'; }
no_warning() { ! journalctl -b -p warning _SYSTEMD_UNIT=$gate + UNIT=$gate -o cat | grep .; }
no_failed() { ! systemctl list-units --failed --plain --no-legend | grep -E 'imds|my-|own|agent|ecs|nodeadm|container'; }
# The fields of the journal, and the explanations of journalctl -x.
ours() { journalctl -b -o cat _SYSTEMD_UNIT=$gate "$@"; }
has_fields() { ours IMDS_CLASS=connection-refused | grep -q '^waiting for IMDS: connection refused' && ours IMDS_ENDPOINT=http://169.254.169.254 | grep -q . && ours IMDS_STATE=ready | grep -q '^ready in '; }
explains() { journalctl -b -x _SYSTEMD_UNIT=$gate | grep -q 'Subject: The EC2 metadata is available' && journalctl -b -x _SYSTEMD_UNIT=$gate | grep -q 'Subject: IMDS refuses connections'; }
is_quiet() { [ "$(ours -p info | wc -l)" -le 4 ]; }
once() { [ "$(ours | grep -c 'waiting for IMDS [^:]*$')" = 1 ] && [ "$(ours | grep -c 'ready in ')" = 1 ]; }
# nspawn mounts the boot ID of this machine over /proc. ProtectProc= hides that mount
# from the gate, which therefore gets the boot ID from systemd.
has_commands() { [ "$(imds-ready get instance-id)" = "$(instance_of_env)" ] && imds-ready wait --timeout 1s && imds-ready status | grep -q ready; }
own_boot_id() { grep -qF "\"boot_id\": \"$(cat /proc/sys/kernel/random/boot_id)\"" $status; }
instance_of_env() { sed -n 's/^IMDS_INSTANCE_ID=//p' /run/imds/imds.env; }
reads_as_nobody() { [ "$(property own.service User)" = nobody ] && journalctl -b -u own.service -o cat | grep -q '^ready: i-[0-9a-f]* in [a-z0-9-]*$' && journalctl -b -u own.service -o cat | grep -q '"Name"'; }
contained() { journalctl -b -u container.service -o cat | grep -q '^in [a-z0-9-]*: {'; }
# The file as the container sees it, before and after it is replaced.
container_file() { cat "/proc/$(property container.service MainPID)/root/run/imds/status.json"; }
sound_files() { [ "$(stat -c %a:%U:%G /run/imds)" = 755:imds-ready:imds-ready ] && [ "$(find /run/imds -name '*.json' ! -perm 0644)" = '' ] && [ -z "$(find /run/imds -name '.*.tmp')" ]; }
unprivileged() { [ "$(ps -o user= -p "$(property $gate MainPID)")" = imds-ready ]; }

boot_facts() {
	eventually 10 gate_began
	case $scenario in
	deb) fact 'boot: multi-user.target is reached while the gate waits' passed_by ;;
	*) fact 'boot: multi-user.target waits if it wants the consumers itself' waits_along ;;
	esac
	fact 'boot: the gate runs as the user imds-ready, and status.json says that it waits' eval 'eventually "$patience" waits && unprivileged'
	fact 'boot: no consumer starts while the gate waits' held $kinds $others
	[ "$scenario" != deb ] || fact 'boot: systemctl status shows what the gate waits for' eventually 3 says_why
	fact 'boot: the gate becomes ready when IMDS answers' passed
	fact 'boot: systemctl status shows the instance and the number of attempts' told
	eventually 10 no_jobs
	for unit in $kinds $others; do
		fact "boot: $unit starts after the gate, not before" running "$unit"
	done
	[ "$scenario" != deb ] || fact 'boot: more than 20 attempts were made' retried
	fact 'boot: no ordering cycle and no failed unit' eval 'no_cycle && no_failed'
	fact 'boot: no warning in the journal' no_warning
	fact 'boot: journalctl finds lines by class, endpoint and state' has_fields
	[ "$scenario" != deb ] || fact 'boot: journalctl -x explains them' explains
	fact 'boot: at most 6 lines at info, including the two for the console' is_quiet
	fact 'boot: wait, get and status read the files' has_commands
	fact 'boot: a service that runs as nobody reads /run/imds and has imds.env' reads_as_nobody
	fact 'boot: files are 0644 in a directory 0755 of imds-ready, without temporary files' sound_files
	fact 'boot: a container has imds.env and sees the directory' contained
}
