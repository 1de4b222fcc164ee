# SPDX-License-Identifier: Apache-2.0
# cloud-init with its EC2 datasource runs a script from the user-data that calls wait and
# get. It does so in cloud-final.service, while the gate waits for a tag.

script=/run/user-data
monotonic() { property "$1" "$2"; }
script_waits() { [ -e $script.begin ]; }
# cloud-init writes this file at its end. Its own commands would take seconds here.
result=/run/cloud-init/result.json
# What the script saw after wait: the gate was ready before.
after_ready() { [ "$(cat $script.end)" -ge "$(monotonic $gate ActiveEnterTimestampMonotonic)" ]; }

eventually $patience script_waits
fact 'cloud: the user-data script runs while the gate waits' eval "is $gate activating && state waiting && ! [ -e $script.end ]"
fact 'cloud: the gate does not wait for cloud-final.service, which runs the script' eval \
	"[ $(monotonic $gate ExecMainStartTimestampMonotonic) -lt $(monotonic cloud-final.service ExecMainStartTimestampMonotonic) ] && is cloud-final.service activating"
fact 'cloud: no consumer starts while the gate waits' held $kinds
echo '# the user-data waits'
fact 'cloud: wait returns when the gate is ready' eval "eventually $patience test -s $script.end && after_ready && state ready"
fact 'cloud: get prints the instance ID that cloud-init has, and the tag' eval \
	"[ \"\$(cat $script.out)\" = \"\$(cat /var/lib/cloud/data/instance-id) web-1\" ]"
fact 'cloud: cloud-init is done, with the EC2 datasource' eval \
	"eventually $patience test -s $result && grep -q DataSourceEc2 $result && grep -q '\"errors\": \[\]' $result"
fact 'cloud: the soft and the hard consumer start after the gate' running $kinds
booted
fact 'cloud: the boot is completed, and no unit failed' eval 'is multi-user.target active && no_failed'
