# SPDX-License-Identifier: Apache-2.0
# The package manager of the scenario. This file is sourced. The scenario is $scenario,
# or else $1 of the script.

scenario=${scenario:-$1}
export DEBIAN_FRONTEND=noninteractive
case $scenario in
rpm)
	# --nodeps: rpm's database does not contain the packages of Debian.
	install_package() { rpm --nodeps -i /packages/imds-ready.rpm; }
	reinstall_package() { rpm --nodeps -U --replacepkgs "/packages/${1:-imds-ready}.rpm"; }
	upgrade_package() { rpm --nodeps -U /packages/next.rpm; }
	remove_package() { rpm --nodeps -e imds-ready; }
	;;
*)
	install_package() { dpkg -i /packages/imds-ready.deb; }
	reinstall_package() { dpkg -i "/packages/${1:-imds-ready}.deb"; }
	upgrade_package() { dpkg -i /packages/next.deb; }
	remove_package() { dpkg -r imds-ready; }
	purge_package() { dpkg -P imds-ready; }
	;;
esac
