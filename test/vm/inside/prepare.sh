# SPDX-License-Identifier: Apache-2.0
# Runs in the image, without systemd. It installs the package, a soft and a hard consumer
# with the commands of doc/examples, and the units of the test.
echo imds-vm >/etc/hostname
printf '127.0.0.1 localhost imds-vm\n' >/etc/hosts
printf '/dev/vda / ext4 defaults 0 1\n' >/etc/fstab
: >/etc/machine-id
# Networks of systemd-imdsd and of cloud-init precede this one.
printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >/etc/systemd/network/90-dhcp.network
systemctl --quiet enable systemd-networkd.service
# The package installs its examples even if the root excludes documentation.
sed -i '/^path-exclude/d' /etc/dpkg/dpkg.cfg.d/* 2>/dev/null || true
dpkg -i /vm-test/imds-ready.deb
cd /usr/share/doc/imds-ready/examples
for kind in soft hard; do
	printf '[Service]\nType=exec\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' \
		>"/etc/systemd/system/my-$kind.service"
	sed -n 's/^# \$ //p' $kind.conf | bash -e
done
# multi-user.target must not wait for the soft consumer.
systemctl --quiet disable my-soft.service
systemctl --quiet add-wants imds-ready.service my-soft.service
mv /vm-test/*.service /etc/systemd/system/
systemctl --quiet enable vm-policy.service vm-test.service
# What this root does not have: a locale, the tools of ext4, and ssh.
printf 'locale: false\nresize_rootfs: false\nssh_genkeytypes: []\n' >/etc/cloud/cloud.cfg.d/90-vm.cfg
