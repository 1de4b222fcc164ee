#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the machine before it boots, without systemd, as in an image build. It installs
# the package, the consumers, and every example with the commands in the example.
. /boot-test/inside/lib.sh
. /boot-test/inside/package.sh
scenario=$1

[ ! -d /run/systemd/system ] || { echo 'not ok - systemd does not run yet'; exit 1; }
dpkg --purge imds-ready >/dev/null 2>&1
rm -rf /etc/imds-ready
# Some facts measure the time of an installation. The index of the manual pages, which
# is rebuilt after each installation, must not count.
rm -f /var/lib/man-db/auto-update
# A container image may contain a policy that forbids packages to start services. This
# machine must not have one.
rm -f /usr/sbin/policy-rc.d
# Install the examples even if the image excludes documentation.
sed -i '/^path-/d' /etc/dpkg/dpkg.cfg.d/* 2>/dev/null

installed_quietly() {
	local said
	said=$(install_package 2>&1 >/dev/null) || return 1
	# These tools always print something: systemctl the link, systemd-sysusers the account,
	# man-db that it builds no index, and Debian's rpm a warning about the use of rpm.
	! grep -v -e '^Created symlink' -e '^Creating ' -e '^Not building database' -e '^rpm: ' <<<"$said"
}
enabled() { [ -L /etc/systemd/system/multi-user.target.wants/$gate ]; }
commented_out() { ! grep -q '^[^#]' /etc/imds-ready/imds-ready.toml && imds-ready check >/dev/null; }
static() { ! grep -qa ld-linux /usr/bin/imds-ready /usr/bin/imds-sim; }
manual() { [ -s /usr/share/man/man8/imds-ready.8.gz ] && [ -s /usr/share/man/man1/imds-sim.1.gz ]; }
unchanged() { case $scenario in rpm) rpm -V --nodeps imds-ready ;; *) ! dpkg -V imds-ready | grep . ;; esac; }
purged_in_image() {
	upgrade_package && imds-ready version | grep -q 99.0.0 && purge_package &&
		[ ! -e /etc/imds-ready ] && [ ! -e /usr/bin/imds-ready ] && ! enabled && rmdir /run/imds
}
case $scenario in rpm) names=rpm ;; *) names=deb ;; esac
fact "$names: installs in an image without systemd and prints nothing" installed_quietly
if [ "$scenario" = off ]; then
	mkdir /run/imds
	fact 'deb: is upgraded and purged there as well; /run/imds stays, because it may be that of the host' purged_in_image
	installed_quietly
fi
fact "$names: enables the gate there and creates its user" eval 'enabled && id -u imds-ready'
if [ "$scenario" = deb ] || [ "$scenario" = rpm ]; then
	fact "$names: the configuration file sets no key and is valid" commented_out
	fact "$names: every installed file is as packaged" unchanged
	fact "$names: the programs are static, and each has a manual page" eval 'static && manual'
fi

units=/boot-test/inside/units
cp $units/my-*.service $units/consumers.target $units/imds-address.service $units/sim-boot.service /etc/systemd/system/
for name in my-soft my-hard my-secret; do
	cp $units/consumer.service /etc/systemd/system/$name.service
done
# These units stand for those of other packages.
for name in vendor-agent ecs nodeadm-config nodeadm-run kubelet; do
	cp $units/consumer.service /usr/lib/systemd/system/$name.service
done
sed -i '/^Description=/a Requires=nodeadm-config.service\nAfter=nodeadm-config.service' /usr/lib/systemd/system/nodeadm-run.service
cp $units/docker /usr/bin/docker
systemctl --quiet enable imds-address sim-boot
case $scenario in
# Here multi-user.target does not want the consumers, so it does not wait for them.
deb) systemctl --quiet add-wants $gate my-soft.service my-requires.service my-binds.service ;;
*) systemctl --quiet enable my-soft my-hard my-requires my-binds vendor-agent ecs nodeadm-config nodeadm-run ;;
esac

# The gate must not depend on the firmware of the machine that runs the test.
vendor=$(cat /sys/class/dmi/id/sys_vendor 2>/dev/null)
case $vendor in '' | 'Amazon EC2') ;; *) fake_firmware 'Amazon EC2' >/etc/systemd/system/$gate.d/firmware.conf ;; esac

# example FILE: runs the commands in the lines "# $ " of an example.
example() { cd $examples && sed -n 's/^# \$ //p' "$1" | bash -e; }
for name in soft.conf hard.conf own.service vendor.conf ecs.conf eks.conf container.service user-data.conf; do
	fact "doc/examples/$name: its commands install it" example $name
done
case $scenario in
deb) echo 'SCHEDULE=refuse:8s,ok' ;;
*) echo 'SCHEDULE=refuse:6s,ok' ;;
esac >/etc/sim-boot.env
echo end
