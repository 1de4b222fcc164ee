# SPDX-License-Identifier: Apache-2.0
# The gate starts again while its consumers run.

identity_stays() { grep -q '"instanceId"' /run/imds/identity.json && cat /run/imds/imds.env; }
# fresh_in_container: succeeds if the container sees the file that was written after its
# start.
fresh_in_container() { [ "$(grep updated_at $status)" = "$(container_file | grep updated_at)" ]; }

restart_facts() {
	local kept other
	run ok
	systemctl start container.service
	kept=$(pids my-soft.service my-hard.service container.service)
	other=$(pids my-requires.service my-binds.service)
	sim refuse
	systemctl restart --no-block $gate
	eventually 5 is $gate activating
	fact 'restart: the files stay readable while the gate waits again' eval 'is $gate activating && identity_stays'
	fact 'restart: Requires= and BindsTo= consumers are stopped while the gate waits' dead my-requires.service my-binds.service
	sim ok
	eventually 10 is $gate active
	eventually 5 no_jobs
	fact 'restart: the soft and hard consumers and the container keep their PIDs' \
		eval "[ '$kept' = \"\$(pids my-soft.service my-hard.service container.service)\" ]"
	fact 'restart: Requires= consumers are started again after the gate' eval \
		"running my-requires.service && [ '$other' != \"\$(pids my-requires.service my-binds.service)\" ]"
	fact 'restart: a container that mounts the directory sees the new files' fresh_in_container

	policy $'[retry]\ndeadline = "1s"'
	sim refuse
	systemctl restart $gate
	fact 'a failed restart keeps the last good files and does not stop soft and hard consumers' eval \
		"is $gate failed && identity_stays && [ '$kept' = \"\$(pids my-soft.service my-hard.service container.service)\" ]"
	policy ''
	systemctl stop container.service
}
