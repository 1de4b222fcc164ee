# SPDX-License-Identifier: Apache-2.0
# IMDS does not answer: how the gate ends, which consumers are held, and how they start
# later.

failed_with() { is $gate failed && [ "$(property $gate ExecMainStatus)" = "$1" ] && [ "$(property $gate NRestarts)" = 0 ]; }
journal_has() { journalctl -b -u $gate -o cat | grep -q -- "$1"; }
journal_says() { eventually 3 journal_has "$1"; }
env_state() { grep -qx "IMDS_STATE=$1" /run/imds/imds.env; }
dead() { for unit; do is "$unit" active || is "$unit" activating && return 1; done; return 0; }

# gives_up NAME SCHEDULE CODE: the unit is not restarted, the soft consumer starts, and
# all others are held.
gives_up() {
	run "$2"
	fact "gives up ($1): the unit fails with $3 and is not restarted" failed_with "$3"
	fact "gives up ($1): the soft consumer starts after the failure" running my-soft.service
	fact "gives up ($1): hard, Requires= and BindsTo= consumers are held" \
		eval 'held my-hard.service own.service my-requires.service my-binds.service'
}

ending_facts() {
	policy $'[retry]\ndeadline = "1s"'
	gives_up 'IMDS refuses until the deadline' refuse 75
	fact 'gives up: the journal has the error' journal_says 'connection refused'
	local soft
	soft=$(pids my-soft.service)
	sim ok
	systemctl start $gate
	fact 'later: systemctl start imds-ready starts the hard consumers' running my-hard.service own.service
	fact 'later: the soft consumer keeps its PID' test "$soft" = "$(pids my-soft.service)"

	gives_up 'a black hole' blackhole 75
	gives_up 'IMDS is disabled: 403' 403@put 69
	fact 'gives up (403): the hint names HttpEndpoint' journal_says 'http-endpoint enabled'
	gives_up 'something else answers' html 76

	policy $'[retry]\ndeadline = "1s"\n[ready]\non_timeout = "continue"'
	run refuse
	fact 'continue: the unit is active and degraded' eval "is $gate active && state degraded && env_state degraded"
	fact 'continue: soft and Requires= consumers start after the gate' running my-soft.service my-requires.service
	fact 'continue: the hard consumers are held' held my-hard.service own.service
	fact 'continue: the soft consumer has IMDS_STATE=degraded' has_env my-soft.service IMDS_STATE=degraded
	fact 'doc/examples/continue.toml: its commands install it, and it is valid' eval \
		'policy ""; cd $examples && sed -n "s/^# \$ //p" continue.toml | bash -e && imds-ready check | grep -q continue.toml'
	rm -f /etc/imds-ready/imds-ready.toml.d/continue.toml

	policy ''
	dropin disabled '[Service]' 'Environment=AWS_EC2_METADATA_DISABLED=true'
	run ok
	fact 'skipped (AWS_EC2_METADATA_DISABLED): the unit is active, without any request' eval \
		"is $gate active && state skipped && env_state skipped && ! grep -q '\"kind\"' /run/sim.log"
	fact 'skipped: soft and Requires= consumers start' running my-soft.service my-requires.service
	fact 'skipped: the hard consumers are held' held my-hard.service own.service
	dropin disabled
	systemctl restart $gate
	fact 'skipped: the hard consumers start when the gate is started without the switch' running my-hard.service own.service

	fake_firmware 'Some Other Cloud' >/tmp/firmware.conf
	dropin firmware "$(cat /tmp/firmware.conf)"
	run ok
	fact 'skipped (not EC2): the unit is active, and the journal names the vendor' eval \
		"is $gate active && state skipped && journal_says 'Some Other Cloud'"
	fact 'skipped (not EC2): the hard consumers are held' held my-hard.service own.service
	dropin firmware

	policy $'[retry]\ndeadline = 5'
	run ok
	fact 'an invalid configuration: the unit fails with 78 before any request' eval \
		"failed_with 78 && ! grep -q '\"kind\"' /run/sim.log"
	fact 'an invalid configuration: the journal names file, line and key' \
		journal_says 'zz-test.toml:2: retry.deadline = 5: '
	fact 'an invalid configuration: the hard consumers are held' held my-hard.service own.service
	policy ''
}
has_env() { tr '\0' '\n' <"/proc/$(property "$1" MainPID)/environ" | grep -qx "$2"; }
