# SPDX-License-Identifier: Apache-2.0
# The environment of the gate: a network that is late, an address that is blocked,
# cloud-init and network-online.target.

# IMDS is at the other end of a link that is not up yet, without address and route.
late_interface() {
	ip address del 169.254.169.254/32 dev lo
	ip address del fd00:ec2::254/128 dev lo
	ip netns add imds
	rm -f /run/sim.url
	ip link add name veth-imds type veth peer name veth0 netns imds
	ip -n imds address add 169.254.169.254/32 dev veth0
	ip -n imds route add 10.0.0.2/32 dev veth0 2>/dev/null
	ip -n imds link set veth0 up
	ip -n imds route add 10.0.0.2/32 dev veth0
	no_sim
	systemd-run --quiet --unit=sim --collect --property=Type=exec --property=NetworkNamespacePath=/run/netns/imds \
		imds-sim --listen 169.254.169.254:80 --log /run/sim.log --url-file /run/sim.url
	eventually 5 test -s /run/sim.url
}
link_up() {
	ip link set veth-imds up
	ip address add 10.0.0.2/32 dev veth-imds
	ip route add 169.254.169.254/32 dev veth-imds
}
unreachable() { grep -q '"unreachable": [0-9]' $status; }
lo_again() {
	no_sim
	ip netns del imds
	systemctl restart imds-address.service
}

around_facts() {
	# Only news of the network can end a pause of half a minute.
	policy $'[retry]\ninitial_backoff = "30s"\nmax_backoff = "30s"\njitter = "none"'
	rest
	late_interface
	systemctl start --no-block consumers.target
	eventually 5 unreachable
	fact 'a late interface: the gate waits while there is no route' eval "is $gate activating && held $kinds"
	link_up
	fact 'a late interface: its address ends a pause of 30 s' eventually 5 is $gate active
	fact 'a late interface: the consumers start after the gate' running $kinds
	policy ''
	lo_again

	# The address is not in IPAddressAllow=, so its packets are dropped.
	policy $'[endpoint]\nurl = "http://127.0.0.2"\n[retry]\ndeadline = "1s"'
	rest
	systemd-run --quiet --unit=sim --collect --property=Type=exec imds-sim --listen 127.0.0.2:80 --log /run/sim.log
	systemctl start $gate 2>/dev/null
	fact 'packets to an endpoint.url outside IPAddressAllow= are dropped' eval "is $gate failed && grep -q '\"connect-timeout\": [0-9]' $status"
	dropin endpoint '[Service]' IPAddressAllow=127.0.0.2
	systemctl start $gate
	fact 'the same endpoint.url works with a drop-in that allows it' is $gate active
	dropin endpoint
	policy ''

	cloud_init_facts
	network_online_facts
}

# This cloud-init applies write_files of doc/examples/cloud-config.yaml after 2 s.
cloud_init_facts() {
	cat >/run/systemd/system/cloud-init.service <<-'UNIT'
		[Unit]
		DefaultDependencies=no
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/bash -ec 'sleep 2; f=/usr/share/doc/imds-ready/examples/cloud-config.yaml; p=$$(sed -n "s/^  - path: //p" $f); mkdir -p $${p%%/*}; sed -n "/content: |/,$$ s/^      //p" $f >$$p'
	UNIT
	example after-cloud-init.conf
	systemctl daemon-reload
	rest
	sim ok --late meta-data/iam=4s
	systemctl start --no-block cloud-init.service consumers.target
	eventually 20 is $gate active
	fact 'after-cloud-init.conf: the gate starts after cloud-init' eval \
		"[ \$(property $gate ExecMainStartTimestampMonotonic) -ge \$(property cloud-init.service ActiveEnterTimestampMonotonic) ]"
	fact 'cloud-config.yaml: its policy applies: the gate waited for meta-data/iam/info' eval \
		"state ready && grep -q '\"meta-data/iam/info\": {' $status && met 404"
	rm -f /etc/imds-ready/imds-ready.toml.d/50-user-data.toml /etc/systemd/system/$gate.d/after-cloud-init.conf
	systemctl daemon-reload
}
met() { grep -q "\"$1\": [0-9]" $status; }

network_online_facts() {
	cat >/run/systemd/system/some-wait-online.service <<-'UNIT'
		[Unit]
		DefaultDependencies=no
		Before=network-online.target
		[Service]
		Type=oneshot
		ExecStart=/bin/sleep 2
	UNIT
	mkdir -p /run/systemd/system/network-online.target.wants
	ln -s ../some-wait-online.service /run/systemd/system/network-online.target.wants/
	example network-online.conf
	systemctl daemon-reload
	systemctl stop network-online.target
	rest
	sim ok
	systemctl start consumers.target
	eventually 10 is $gate active
	fact 'network-online.conf: the gate starts when network-online.target is reached' eval \
		"[ \$(property $gate ExecMainStartTimestampMonotonic) -ge \$(property network-online.target ActiveEnterTimestampMonotonic) ] && is network-online.target active"
	rm -rf /etc/systemd/system/$gate.d/network-online.conf /run/systemd/system/network-online.target.wants
	systemctl daemon-reload
}
