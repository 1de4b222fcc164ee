# SPDX-License-Identifier: Apache-2.0
# user-data for one service, and for nobody else.

files_facts() {
	example user-data.toml
	run ok
	systemctl start my-secret.service
	fact 'user-data: 0600, of imds-ready' test "$(stat -c %a:%U /run/imds/user-data)" = 600:imds-ready
	fact 'user-data: my-secret.service has a copy of it as a credential' credential
	fact 'user-data: nobody else can read the file' eval '! setpriv --reuid=65534 --clear-groups cat /run/imds/user-data'
	systemctl stop my-secret.service
	rm -f /etc/imds-ready/imds-ready.toml.d/user-data.toml
}
example() { cd $examples && sed -n 's/^# \$ //p' "$1" | bash -e; }
# LoadCredential=, seen from within the service's own view.
credential() {
	local pid
	pid=$(property my-secret.service MainPID)
	cmp /run/imds/user-data "/proc/$pid/root/run/credentials/my-secret.service/user-data"
}
