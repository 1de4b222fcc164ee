# SPDX-License-Identifier: Apache-2.0
# systemd-imdsd configures the network for IMDS: unlocked, so that every process reaches
# IMDS; locked, so that only privileged ones do; and locked with the drop-in of
# doc/examples, which lets the gate through.

passes() { eventually $patience is $gate active exited && state ready; }
prohibited() { ip route show | grep -q '^prohibit 169.254.169.254'; }
# The users without privileges, other than that of the gate.
reached_by_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups curl -s -m 20 -o /dev/null http://169.254.169.254/; }
imdsd_works() { eventually $patience systemctl is-active systemd-imdsd.socket; }
rule_exists() { ip rule show | grep -q uidrange; }

eventually $patience began
fact "$scenario: systemd recognizes EC2 and starts its own client of IMDS" imdsd_works
case $scenario in
unlocked.imdsd)
	fact "$scenario: the gate becomes ready" passes
	fact "$scenario: no route prohibits IMDS" eval '! prohibited'
	booted
	fact "$scenario: no unit failed" no_failed
	;;
locked.imdsd)
	fact "$scenario: the gate fails with 77" eval "eventually $patience is $gate failed && failed_with 77"
	fact "$scenario: a route prohibits IMDS" prohibited
	fact "$scenario: the hint names the drop-in" eventually $patience journal_has examples/systemd-imdsd.conf
	booted
	fact "$scenario: the hard consumer is held" held my-hard.service
	cd $examples && sed -n 's/^# \$ //p' systemd-imdsd.conf | bash -e
	networkctl reload
	fact "$scenario: with the drop-in, the gate becomes ready without another boot" eval \
		'eventually $patience rule_exists && systemctl start $gate && passes && running my-hard.service'
	;;
allowed.imdsd)
	fact "$scenario: with the drop-in, the gate becomes ready" passes
	fact "$scenario: other users are still locked out" eval 'prohibited && ! reached_by_nobody'
	fact "$scenario: the soft and the hard consumer start after the gate" running $kinds
	booted
	fact "$scenario: no unit failed" no_failed
	;;
esac
