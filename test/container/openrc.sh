# SPDX-License-Identifier: Apache-2.0
# doc/examples/openrc.sh under OpenRC. This file is sourced.

machine=/mnt/machine

# rc COMMAND...: runs a command on the machine whose service manager is OpenRC.
rc() { timeout 60 env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot $machine "$@"; }

openrc() {
	mkdir -p $machine /mnt/upper /mnt/work
	mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay $machine
	mount -t proc proc $machine/proc
	mount -t tmpfs -o mode=0755 tmpfs $machine/run
	for package in "$IMDS_CONTAINER_TEST"/*.deb; do
		# tar instead of dpkg -x, which would replace links such as /sbin by directories.
		dpkg-deb --fsys-tarfile "$package" | tar -C $machine --keep-directory-symlink -xf -
	done
	# The state of a booted machine, as openrc(8) makes it.
	mkdir -p $machine/run/openrc/{daemons,exclusive,failed,inactive,options,scheduled,started,starting,stopping,wasinactive} \
		$machine/etc/runlevels/default
	touch $machine/run/openrc/softlevel $machine/etc/insserv.conf
	install -m 0755 bin/imds-ready $machine/usr/bin/imds-ready
	rc id imds-ready >/dev/null 2>&1 ||
		rc useradd --system --no-create-home --home-dir /run/imds --shell /usr/sbin/nologin imds-ready
	mkdir -p $machine/etc/imds-ready
	printf '[retry]\ndeadline = "3s"\n' >$machine/etc/imds-ready/imds-ready.toml
	install -m 0755 doc/examples/openrc.sh $machine/etc/init.d/imds-ready
	# Debian's package does not have this service, which Alpine and Gentoo have.
	printf '#!/sbin/openrc-run\nstart() { :; }\n' >$machine/etc/init.d/localmount
	printf '#!/sbin/openrc-run\ndepend() { need imds-ready; }\nstart() { cp /run/imds/imds.env /run/consumer; }\n' \
		>$machine/etc/init.d/consumer
	chmod 0755 $machine/etc/init.d/{consumer,localmount}
	echo "# $(rc openrc --version)"

	simulate refuse
	holds 'OpenRC: if IMDS never answers, the gate fails' exits 1 rc rc-service imds-ready start
	holds 'OpenRC: and a service that needs it is not started' exits 1 rc rc-service consumer start
	holds 'OpenRC: status.json says why' grep -q '"state": "failed"' $machine/run/imds/status.json
	holds 'OpenRC: the files belong to the user imds-ready' [ "$(rc stat -c %U /run/imds/status.json)" = imds-ready ]
	simulate '503:1s,ok'
	holds 'OpenRC: a service that needs the gate starts it and waits for it' exits 0 rc rc-service consumer start
	holds 'OpenRC: it has the metadata' grep -q '^IMDS_STATE=ready$' $machine/run/consumer
	holds 'OpenRC: the gate is started' exits 0 rc rc-service imds-ready status
	holds 'OpenRC: it can be stopped, and its files remain' rc sh -ec 'rc-service imds-ready stop && test -e /run/imds/identity.json'
}
