# SPDX-License-Identifier: Apache-2.0
# The package goes; last of all.

remains() {
	find /boot /etc /opt /srv /usr /var -xdev -path /var/log -prune -o \
		-name '*imds-ready*' -print 2>/dev/null | grep -v -e '/imds-ready.service.wants' -e "/etc/systemd/system/.*service.d/imds-ready.conf"
	ls -d /run/imds 2>/dev/null
}

removal_facts() {
	begin refuse
	fact "$scenario: removal while the gate waits takes under 5 s, and stops it" eval "takes 5 remove_package && ! pgrep -x imds-ready"
	fact "$scenario: removal of the package keeps a changed configuration" eval \
		'[ -e /etc/imds-ready/imds-ready.toml ] || [ -e /etc/imds-ready/imds-ready.toml.rpmsave ]'
	[ "$scenario" = deb ] || return 0

	install_package >/dev/null 2>&1
	rest
	sim ok
	systemctl start my-soft.service
	local kept
	kept=$(pids my-soft.service)
	fact 'deb: removal after the gate was passed leaves the files, and a consumer running' eval \
		"takes 5 remove_package && [ -s /run/imds/identity.json ] && [ '$kept' = \"\$(pids my-soft.service)\" ]"
	fact 'deb: purge takes under 5 s' takes 5 purge_package
	fact 'deb: purge leaves nothing' eval '! remains | grep .'
	fact 'deb: but the locked account, whose number nobody else shall get' eval \
		"id -u imds-ready && [ \"\$(getent passwd imds-ready | cut -d: -f7)\" = /usr/sbin/nologin ]"
}
