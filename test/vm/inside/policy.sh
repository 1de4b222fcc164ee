# SPDX-License-Identifier: Apache-2.0
# Configures the scenarios that need more than the defaults.
. /vm-test/lib.sh
. /vm-test/scenario.sh
case $scenario in
never) policy $'[retry]\ndeadline = "15s"' ;;
cloud) policy $'[[require]]\npath = "meta-data/tags/instance/Name"' ;;
allowed.imdsd) cd $examples && sed -n 's/^# \$ //p' systemd-imdsd.conf | bash -e ;;
esac
