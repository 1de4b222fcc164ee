# SPDX-License-Identifier: Apache-2.0
# The removal of the package, which comes last.

remains() {
	find /boot /etc /opt /srv /usr /var -xdev \( -path /var/log -o -path /var/tmp \) -prune -o \
		-name '*imds-ready*' -print 2>/dev/null | grep -v -e '/imds-ready.service.wants' -e "/etc/systemd/system/.*service.d/imds-ready.conf"
	ls -d /run/imds 2>/dev/null
}

# The rpm is enabled or not as the presets say. The test is on Debian, which has none.
preset_facts() {
	mkdir -p /etc/systemd/system-preset
	echo 'disable *' >/etc/systemd/system-preset/99-default-disable.preset
	install_package >/dev/null 2>&1
	fact 'rpm: presets that disable every unit leave the gate disabled' eval '! enabled'
	fact 'doc/examples/imds-ready.preset: its commands enable the gate' eval \
		'(cd $examples && sed -n "s/^# \$ //p" imds-ready.preset | bash -e) && enabled'
	remove_package >/dev/null 2>&1
	install_package >/dev/null 2>&1
	fact 'doc/examples/imds-ready.preset: with the file, an installation enables the gate' enabled
}

removal_facts() {
	begin refuse
	systemctl enable --quiet imds-ready-watch.service
	systemctl start --no-block imds-ready-watch.service
	fact "$scenario: removal while the gate waits stops it at once" eval "at_once remove_package && ! pgrep -x imds-ready"
	# On Debian, the link of an enabled unit remains until the purge.
	fact "$scenario: it stops the timer of the refresh" eval \
		'is imds-ready-refresh.timer inactive && { [ $scenario = deb ] || [ ! -e /etc/systemd/system/timers.target.wants/imds-ready-refresh.timer ]; }'
	fact "$scenario: it stops watch, which waits for the gate as well" eval \
		'is imds-ready-watch.service inactive && [ -z "$(property imds-ready-watch.service Job | tr -d 0)" ] && { [ $scenario = deb ] || [ ! -L /etc/systemd/system/multi-user.target.wants/imds-ready-watch.service ]; }'
	fact "$scenario: removal of the package keeps a changed configuration" eval \
		'[ -e /etc/imds-ready/imds-ready.toml ] || [ -e /etc/imds-ready/imds-ready.toml.rpmsave ]'
	[ "$scenario" = deb ] || { preset_facts; return 0; }

	install_package >/dev/null 2>&1
	rest
	sim ok
	systemctl start my-soft.service
	local kept
	kept=$(pids my-soft.service)
	fact 'deb: removal after the gate is decided keeps the files and does not stop a consumer' eval \
		"at_once remove_package && [ -s /run/imds/identity.json ] && [ '$kept' = \"\$(pids my-soft.service)\" ]"
	fact 'deb: purge succeeds' at_once purge_package
	fact 'deb: purge leaves no files' eval '! remains | grep .'
	fact 'deb: purge keeps the locked account, so that its UID is not used again' eval \
		"id -u imds-ready && [ \"\$(getent passwd imds-ready | cut -d: -f7)\" = /usr/sbin/nologin ]"
}
