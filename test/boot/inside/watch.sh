# SPDX-License-Identifier: Apache-2.0
# imds-ready watch, with the deb: its unit, the path units of the examples, and an upgrade.
# They have a machine of their own, because they wait for notices.
scenario=watch
. /boot-test/inside/lib.sh
. /boot-test/inside/package.sh
. /boot-test/inside/package_facts.sh
. /boot-test/inside/removal.sh
eventually 30 decided
systemctl stop sim-boot.service

watch=imds-ready-watch.service
timer=imds-ready-refresh.timer
files=/run/imds/watch
notice=meta-data/spot/instance-action
state=meta-data/autoscaling/target-lifecycle-state
# tree: the files of watch. It rewrites status.json, of which only the owner and the mode count.
tree() { find $files -mindepth 1 -printf '%P %u:%m %i %T@\n' | sed '/^status.json/s/ [^ ]* [^ ]*$//' | sort; }
pid() { property $watch MainPID; }
# gate_now: the run of the gate, and its files.
gate_now() { property $gate InvocationID && find /run/imds -maxdepth 1 -type f -printf '%P %i %T@\n' | sort; }
ready() { is $watch active running && [ -s $files/status.json ]; }
same() { [ "$1" = "$(pid)" ] && [ "$1" != 0 ]; }
holds() { [ "$(cat "$files/$1")" = "$2" ]; }
failed() { systemctl list-units --failed --plain --no-legend | grep .; }
requests() { grep -c '"kind":"GET"' /run/sim.log; }
lines() { journalctl --sync; journalctl -b -o cat _SYSTEMD_UNIT=$watch + UNIT=$watch; }
logged() { [ "$(cat /run/lifecycle.log)" = "$1" ]; }
# soon FILE SECONDS: the time in the file is at most so long after the time in /run/notice.
soon() { awk -v a="$(cat /run/notice)" -v b="$(cat "$1")" -v s="$2" 'BEGIN { print b - a " s"; exit !(b >= a && b - a <= s) }'; }
# handlers: what stands for the programs that the examples start.
handlers() {
	mkdir -p /usr/local/sbin
	printf '#!/bin/sh\ndate +%%s.%%N >>/run/drain.log\n' >/usr/local/sbin/my-drain
	printf '#!/bin/sh\nsleep 2\nprintf "%%s " "$1" >>/run/lifecycle.log\n' >/usr/local/sbin/my-lifecycle
	printf '#!/bin/sh\ncat "$1" >>/run/tags.log\n' >/usr/local/sbin/my-tags
	chmod 0755 /usr/local/sbin/my-*
}
example() { cd $examples && sed -n 's/^# \$ //p' "$1" | bash -e; }

unit_facts() {
	policy ''
	run ok
	local inode at gate_at
	inode=$(stat -c %i /run/imds)
	fact 'watch: the unit is installed and not enabled' eval "[ \"\$(systemctl is-enabled $watch)\" = disabled ] && is $watch inactive"
	systemctl --quiet disable $gate
	fact 'deb: the presets of a first boot enable the gate, and neither watch nor the timer of the refresh' eval \
		"systemctl --quiet preset --preset-mode=enable-only $gate $watch $timer && enabled && [ \"\$(systemctl is-enabled $watch $timer | xargs)\" = 'disabled disabled' ]"
	fact 'watch: it becomes active after the first round' eval "systemctl start $watch && ready && holds $state InService"
	fact 'watch: it runs as the user imds-ready, and its files are public' eval \
		"[ \"\$(ps -o user= -p \$(pid))\" = imds-ready ] && [ \"\$(stat -c %U:%a $files $files/$state | xargs)\" = 'imds-ready:755 imds-ready:644' ]"
	fact 'watch: /run/imds keeps its inode and owner' eval "[ \$(stat -c %U:%a:%i /run/imds) = imds-ready:755:$inode ]"
	fact 'watch: systemctl status says how many paths exist' eval "property $watch StatusText | grep -q '^watching 4 paths, of which 2 exist'"
	at=$(tree)
	fact 'watch: root is refused with 77 and writes nothing' eval 'timeout 10 imds-ready watch; [ $? = 77 ] && [ "$at" = "$(tree)" ]'
	fact 'watch: status shows it, and get reads its files' eval \
		"imds-ready status | grep -q '^watch: *4 paths since' && [ \$(imds-ready get autoscaling/target-lifecycle-state) = InService ]"

	at=$(pid)
	sim refuse
	systemctl restart --no-block $gate
	sleep 1
	fact 'watch: a restart of the gate does not stop it' eval "same $at && is $gate activating"
	sim ok
	eventually 10 is $gate active

	kill -KILL "$at"
	fact 'watch: it is restarted after it was killed, and keeps the files' eval "holds $state InService && eventually 15 eval '! same $at && ready'"

	at=$(pid)
	rm -r $files
	fact 'watch: after its directory was removed, the same process writes its files again' eval \
		"eventually 12 ready && holds $state InService && same $at"
	rm -r /run/imds
	fact 'watch: after /run/imds was removed, systemd starts it again, and its files are back' eval \
		"eventually 25 eval '! same $at && ready' && holds $state InService && [ \$(stat -c %U:%a /run/imds) = imds-ready:755 ]"
	systemctl restart $gate

	fact 'watchdog: the unit has one of a minute' eval "[ \$(property $watch WatchdogUSec) = 1min ]"
	mkdir -p /run/systemd/system/$watch.d
	printf '[Service]\nWatchdogSec=15s\n' >/run/systemd/system/$watch.d/shorter.conf
	systemctl daemon-reload
	systemctl restart $watch
	at=$(pid) gate_at=$(gate_now)
	kill -STOP "$at"
	fact 'watchdog: systemd restarts a watch that was stopped by SIGSTOP, and its files stay' eval \
		"holds $state InService && eventually 40 eval '! same $at && ready' && holds $state InService && lines | grep -q 'Watchdog timeout'"
	fact 'watchdog: the gate and its files are as before' eval "is $gate active && [ '$gate_at' = \"\$(gate_now)\" ] && state ready"
	rm -r /run/systemd/system/$watch.d
	systemctl daemon-reload

	printf '[watch]\ninterval = "1h"\n' >/etc/imds-ready/imds-ready.toml.d/zz-test.toml
	systemctl restart $watch
	ip address del 169.254.169.254/32 dev lo
	ip address del fd00:ec2::254/128 dev lo
	fact 'news of the network: without its address, IMDS does not answer, and the files stay' eval \
		"eventually 3 grep -q '\"class\": \"' $files/status.json && holds $state InService"
	sleep 1
	systemctl restart imds-address.service
	# Without news, the next round would begin 10 s after the failure.
	fact 'news of the network: with the address, the next round is immediate' eventually 6 eval "! grep -q '\"class\": \"' $files/status.json"

	printf '[watch]\ninterval = 5\n' >/etc/imds-ready/imds-ready.toml.d/zz-test.toml
	systemctl restart $watch 2>/dev/null
	fact 'watch: an invalid configuration is exit code 78' eval "eventually 15 is $watch failed && [ \$(property $watch ExecMainStatus) = 78 ]"
	fact 'watch: journalctl -u says why' eval "lines | grep 'watch.interval = 5: a duration needs a unit'"
	fact 'watch: and there is no restart' eval "sleep 6 && is $watch failed"
	policy ''
	systemctl reset-failed

	sim ok --change "$state=0s=Standby"
	systemctl start $watch
	fact 'watch: while it runs, get reads its file, and not what the gate collected' eval \
		'ready && [ "$(imds-ready get autoscaling/target-lifecycle-state)" = Standby ]'
	systemctl stop $watch
	fact 'watch: systemctl stop removes status.json and keeps the files' eval \
		"is $watch inactive && [ ! -e $files/status.json ] && holds $state Standby"
	fact 'watch: while it does not run, get reads what the gate collected' eval \
		'[ "$(imds-ready get autoscaling/target-lifecycle-state)" = InService ]'
	rm -r $files

	touch /run/imds-ready.disabled
	systemctl start $watch
	fact 'watch: an off switch skips it' eval "is $watch inactive && [ \$(property $watch ConditionResult) = no ]"
	rm /run/imds-ready.disabled
	echo AWS_EC2_METADATA_DISABLED=true >/etc/imds-ready/environment
	sim ok
	systemctl restart $gate
	rm /etc/imds-ready/environment
	systemctl start $watch
	sleep 6
	fact 'watch: where the gate was skipped, it makes no request, and ends without a restart' eval \
		"is $watch inactive && [ \$(property $watch Result) = success ] && [ \$(property $watch NRestarts) = 0 ] && [ \$(requests) = 0 ]"
	systemctl restart $gate
}

consumer_facts() {
	handlers
	local name
	for name in drain lifecycle tags; do
		fact "doc/examples/$name.path: its commands install it and $name.service" example $name.path
	done
	systemctl daemon-reload
	systemctl start my-drain.path my-lifecycle.path my-tags.path $watch
	fact 'lifecycle.path: the first state is handled' eventually 6 logged 'InService '
	fact 'drain.path: without a notice nothing is started' eval 'is my-drain.path active waiting && is my-drain.service inactive && [ ! -e /run/drain.log ]'

	sim ok --change "$notice=2s={\"action\": \"terminate\"}" --gone "$notice=14s" --change "$state=3s=Terminating" --change "$state=9s=Terminating:Wait"
	awk -v a="$(date +%s.%N)" 'BEGIN { printf "%.3f\n", a + 2 }' >/run/notice
	fact 'drain.path: the drain starts within 6 s of the notice' eval 'eventually 9 test -s /run/drain.log && soon /run/drain.log 6'
	fact 'drain.path: get prints the notice' eval '[ "$(imds-ready get spot/instance-action/action)" = terminate ]'
	fact 'lifecycle.path: every state is handled, also one that comes while the handler runs' eventually 14 logged 'InService Terminating Terminating:Wait '
	fact 'drain.path: the file goes when the notice does' eventually 15 eval "[ ! -e $files/$notice ]"
	fact 'drain.path: the drain ran once, and its path unit has not failed' eval \
		'[ "$(wc -l </run/drain.log)" = 1 ] && is my-drain.path active && is my-drain.service active exited && ! failed'

	# A state that changes again while the handler of the last change runs.
	printf '[watch]\ninterval = "1s"\n' >/etc/imds-ready/imds-ready.toml.d/zz-test.toml
	systemctl restart $watch
	sim ok --change "$state=0s=Standby"
	eventually 12 eval "holds $state Standby && is my-lifecycle.service inactive"
	rm /run/lifecycle.log
	sim ok
	eventually 5 is my-lifecycle.service activating
	sim ok --change "$state=0s=Terminating:Wait"
	fact 'lifecycle.path: a change within the 2 s of the handler is not missed' eventually 12 logged 'InService Terminating:Wait '
	fact 'lifecycle.path: then the handler ends, and its path unit waits for the next change' eventually 5 eval \
		'is my-lifecycle.service inactive && is my-lifecycle.path active waiting && ! failed'

	sim ok --change meta-data/tags/instance/Name=0s=changed
	systemctl reload $gate
	fact 'tags.path: its service gets the tags when a refresh has replaced them' eventually 3 grep -q '"Name": "changed"' /run/tags.log
	systemctl reload $gate
	sleep 1
	fact 'tags.path: and is not started by a refresh that changes nothing' eval '[ "$(grep -c Name /run/tags.log)" = 1 ] && ! failed'
	systemctl disable --quiet --now my-drain.path my-lifecycle.path my-lifecycle.service my-tags.path
	systemctl stop $watch
	policy ''
}

upgrade_facts() {
	slow_stops
	run ok
	systemctl start $watch
	local at gate_at
	at=$(pid)
	gate_at=$(property $gate ActiveEnterTimestampMonotonic)
	sim refuse
	fact 'deb: an upgrade does not wait for IMDS' at_once upgrade_package
	fact 'deb: an upgrade restarts watch and not the gate' eval \
		"eventually 10 eval '! same $at && ready' && [ $gate_at = \"\$(property $gate ActiveEnterTimestampMonotonic)\" ] && is $watch active"
	fact 'deb: the new watch keeps the files' holds $state InService
	systemctl stop $watch
	fact 'deb: a watch that does not run is not started' eval "at_once reinstall_package next && is $watch inactive"
	systemctl start $watch
	fact 'deb: removal stops it' eval "at_once remove_package && ! pgrep -x imds-ready"
	fact 'deb: purge leaves none of its files' eval "at_once purge_package && [ ! -e /run/imds ] && ! find /etc/systemd -name 'imds-ready-watch*' | grep ."
}

unit_facts
consumer_facts
upgrade_facts
echo end
