# SPDX-License-Identifier: Apache-2.0
# The order in which units start, for each way in which IMDS can be late.

# late NAME SCHEDULE CLASS [FLAG...]: all consumers start after the gate, which reports
# the failure CLASS.
late() {
	local name=$1 schedule=$2 class=$3
	shift 3
	begin "$schedule" "$@"
	fact "late ($name): no consumer starts while the gate waits" eval "is $gate activating && held $kinds own.service"
	eventually 15 decided
	eventually 5 no_jobs
	fact "late ($name): soft, hard, Requires= and BindsTo= consumers start after the gate" running $kinds own.service
	fact "late ($name): the gate reports $class and becomes ready" eval "state ready && met $class"
}
met() { grep -q "\"$1\": [0-9]" $status; }
over_ipv6() { grep -qF '"endpoint": "http://[fd00:ec2::254]"' $status; }

order_facts() {
	policy ''
	late 'it refuses' refuse:2s connection-refused
	late 'a black hole' blackhole:2s connect-timeout
	late 'it answers 503' 503:2s 503
	late 'it answers 401' 401:2s 401
	# Longer than four token requests, the last of which begins after 1.5 s.
	late 'it hangs' hang:4s read-timeout
	late 'IPv4 never, IPv6 late' refuse@ipv6:2s connect-timeout --also blackhole@ipv4
	fact 'late (IPv4 never, IPv6 late): the endpoint is that of IPv6' over_ipv6
	# The wait is three times TimeoutStartSec=, which does not limit it.
	dropin timeout '[Service]' TimeoutStartSec=2s
	late 'TimeoutStartSec=2s, IMDS after 6 s' refuse:6s connection-refused
	dropin timeout
}
