# SPDX-License-Identifier: Apache-2.0
# The network is there, and nothing answers at the address of IMDS.

eventually $patience began
fact 'never: the gate fails with 75 and is not restarted' eval "eventually $patience is $gate failed && failed_with 75"
booted
fact 'never: the soft consumer starts after the failure, not before' running my-soft.service
fact 'never: the hard consumer is held' held my-hard.service
fact 'never: the boot is completed, and only the gate failed' eval \
	'is multi-user.target active && [ "$(systemctl list-units --failed --plain --no-legend | cut -d " " -f 1)" = $gate ]'
fact 'never: the journal has the error' eventually $patience journal_has 'connection refused'
