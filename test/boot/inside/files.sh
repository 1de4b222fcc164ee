# SPDX-License-Identifier: Apache-2.0
# Only one service can read user-data.

files_facts() {
	example user-data.toml
	run ok
	systemctl start my-secret.service
	fact 'user-data: the mode is 0600 and the owner is imds-ready' test "$(stat -c %a:%U /run/imds/user-data)" = 600:imds-ready
	fact 'user-data: my-secret.service has a copy as a credential' credential
	fact 'user-data: another user cannot read the file' eval '! setpriv --reuid=65534 --clear-groups cat /run/imds/user-data'
	systemctl stop my-secret.service
	rm -f /etc/imds-ready/imds-ready.toml.d/user-data.toml
}
example() { cd $examples && sed -n 's/^# \$ //p' "$1" | bash -e; }
# The credential of LoadCredential=, as the service sees it.
credential() {
	local pid
	pid=$(property my-secret.service MainPID)
	cmp /run/imds/user-data "/proc/$pid/root/run/credentials/my-secret.service/user-data"
}
