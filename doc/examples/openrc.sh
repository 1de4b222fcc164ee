#!/sbin/openrc-run
# SPDX-License-Identifier: Apache-2.0
# The gate for OpenRC, as on Alpine or Gentoo. A service that needs metadata has the line
# "need imds-ready" in its function depend, and one that can run without it has "use
# imds-ready" and "after imds-ready".
#
# Without rc_parallel="YES" in /etc/rc.conf, OpenRC starts one service after the other, so
# that everything after the gate waits for IMDS, logins included. In that case set a
# short retry.deadline in /etc/imds-ready/imds-ready.toml. There is no package: install
# the program of a release as /usr/bin/imds-ready first.
#
# $ adduser -S -D -H -h /run/imds -s /sbin/nologin imds-ready      # Alpine
# $ install -m 0755 openrc.sh /etc/init.d/imds-ready
# $ rc-update add imds-ready default

description="Wait until EC2's Instance Metadata Service answers"

depend() {
	need localmount
	use net
	after bootmisc
}

start() {
	ebegin "Waiting for the Instance Metadata Service"
	checkpath --directory --mode 0755 --owner imds-ready /run/imds
	su -s /bin/sh imds-ready -c 'exec /usr/bin/imds-ready run --directory /run/imds'
	eend $? "imds-ready failed: see \`imds-ready status\`"
}

# The gate has no process once it is decided. Its files remain for their readers.
stop() {
	return 0
}
