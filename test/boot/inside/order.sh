# SPDX-License-Identifier: Apache-2.0
# The order in which units start, for each way in which IMDS can be late.

# late NAME SECONDS FAULT CLASS [FLAG...]: all consumers start after the gate, which
# reports the failure CLASS. IMDS answers when the gate has met it and has waited this
# long, so a slow machine does not miss the wait.
late() {
	local name=$1 seconds=$2 fault=$3 class=$4
	shift 4
	begin "$fault" "$@"
	sleep "$seconds"
	eventually 15 met "$class"
	fact "late ($name): no consumer starts while the gate waits" eval "is $gate activating && held $kinds own.service"
	sim ok "$@"
	eventually 15 decided
	eventually 5 no_jobs
	fact "late ($name): soft, hard, Requires= and BindsTo= consumers start after the gate" running $kinds own.service
	fact "late ($name): the gate reports $class and becomes ready" eval "state ready && met $class"
}
met() { grep -q "\"$1\": [0-9]" $status; }
over_ipv6() { grep -qF '"endpoint": "http://[fd00:ec2::254]"' $status; }

order_facts() {
	policy ''
	late 'it refuses' 1 refuse connection-refused
	late 'a black hole' 1 blackhole connect-timeout
	late 'it answers 503' 1 503 503
	late 'it answers 401' 1 401 401
	late 'it hangs' 1 hang read-timeout
	late 'IPv4 never, IPv6 late' 1 refuse@ipv6 connect-timeout --also blackhole@ipv4
	fact 'late (IPv4 never, IPv6 late): the endpoint is that of IPv6' over_ipv6
	# The wait is three times TimeoutStartSec=, which does not limit it.
	dropin timeout '[Service]' TimeoutStartSec=2s
	late 'TimeoutStartSec=2s, IMDS after 6 s' 6 refuse connection-refused
	dropin timeout
}
